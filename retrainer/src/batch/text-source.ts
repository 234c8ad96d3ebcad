import { open } from 'node:fs/promises';
import { sqlName, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { type CsvHeader, csvHeader } from './csv-header.ts';
import { sourceProblem, unreadable } from './source-problem.ts';

/**
 * Column of a staged source: what of a row cannot be read as the type that the model takes, in words; NULL where all can. Such a row is
 * refused with these words, so that one bad value does not end a batch.
 */
export const UNREADABLE = 'values of the row that cannot be read';

/** How many rows decide the types of columns that the model does not read. */
const FIRST_ROWS = 20_480;
const ALL_ROWS = -1;
const HEADER_BYTES = 64 * 1024;
const MOST_SHOWN = 40;
const WORDS: Readonly<Record<string, string>> = {
  DOUBLE: 'a number',
  BOOLEAN: 'true or false',
  VARCHAR: 'a text',
};
const JSON_TYPES: Readonly<Record<string, string>> = {
  DOUBLE: `('BIGINT', 'UBIGINT', 'HUGEINT', 'DOUBLE')`,
  BOOLEAN: `('BOOLEAN')`,
  VARCHAR: `('VARCHAR')`,
};

export interface TextFiles {
  readonly files: readonly string[];
  readonly format: 'csv' | 'jsonl';
  /** The type that the model takes of a column (DOUBLE, BOOLEAN, VARCHAR); of others the files decide. */
  readonly types: Readonly<Record<string, string>>;
  /** Types that are known for certain, such as those of a query's result, which values cannot miss. */
  readonly certain?: Readonly<Record<string, string>>;
}

/**
 * Copies text files into one Parquet file, with the column {@link UNREADABLE}. All rows decide the types of columns that the model does not
 * read. Throws INVALID_ARGUMENT: `unreadable_source` with the file and line, or `schema_mismatch` where a column has no value that the
 * model can take.
 */
export async function stageText(connection: SqlConnection, source: TextFiles, staged: string): Promise<void> {
  const beginnings = await Promise.all(source.files.map(beginningOf));
  const files = source.files.filter((_, at) => beginnings[at] !== '');
  if (files.length === 0) throw unreadable(`${source.files.join(', ')}: the file is empty`);
  const filled = { ...source, files };
  const texts = beginnings.filter((text) => text !== '');
  const copy = async (selected: Selected) => {
    const { judged } = selected;
    await connection.run(
      `COPY (${copied(selected)}) TO ${sqlText(staged)} (FORMAT parquet, ROW_GROUP_SIZE 100000)`,
    );
    await checkAnyReadable(connection, staged, judged);
  };
  try {
    if (source.format === 'jsonl') return await copy(await jsonSelect(connection, filled, texts));
    try {
      await copy(await csvSelect(connection, filled, texts, FIRST_ROWS));
    } catch (error) {
      // A value further down may not fit what the first rows made of its column. Reading all rows twice is only then worth its time.
      if (!isConversion(error)) throw error;
      await copy(await csvSelect(connection, filled, texts, ALL_ROWS));
    }
  } catch (error) {
    throw sourceProblem(error);
  }
}

const isConversion = (error: unknown): boolean => {
  const { reason, message } = toHotloopError(error);
  return reason === 'duckdb' && message.startsWith('Conversion Error');
};

function copied({ select, judged }: Selected): string {
  const columns = judged.map(({ name, value }) => `${value} AS ${sqlName(name)}`).join(', ');
  const replaced = judged.length === 0 ? '' : ` REPLACE (${columns})`;
  const reasons = judged.map(reasonOf).join(', ');
  const reason = judged.length === 0 ? 'NULL::VARCHAR' : `nullif(concat_ws('; ', ${reasons}), '')`;
  return `SELECT *${replaced}, ${reason} AS ${sqlName(UNREADABLE)} FROM ${select}`;
}

/** A column whose values are read one by one, because some may be no value of its type. */
interface Judged {
  readonly name: string;
  readonly type: string;
  /** SQL of the value, NULL where it cannot be read. */
  readonly value: string;
  /** SQL that says whether there is a value at all. */
  readonly isGiven: string;
}

interface Selected {
  /** To be used after FROM. */
  readonly select: string;
  readonly judged: readonly Judged[];
}

async function csvSelect(
  connection: SqlConnection,
  { files, types, certain = {} }: TextFiles,
  texts: readonly string[],
  sample: number,
): Promise<Selected> {
  const headers = texts.map((text, at) => csvHeader(text, files[at] ?? ''));
  const delimiter = headers[0]?.delimiter ?? ',';
  const other = headers.findIndex((header) => header.delimiter !== delimiter);
  if (other >= 0)
    throw unreadable(`${files[other]}: its columns are separated otherwise than those of ${files[0]}`);
  const dialect = `header = true, union_by_name = true, delim = ${sqlText(delimiter)}, quote = '"', escape = '"'`;
  const names = new Set(headers.flatMap((header) => header.names));
  const judged = Object.entries(types).flatMap(([name, type]): Judged[] => {
    if (!names.has(name) || certain[name] !== undefined || type === 'VARCHAR' || !(type in WORDS)) return [];
    const column = sqlName(name);
    return [{ name, type, value: `TRY_CAST(${column} AS ${type})`, isGiven: `${column} IS NOT NULL` }];
  });
  const texted = Object.fromEntries(judged.map(({ name }) => [name, 'VARCHAR']));
  const given = Object.entries({ ...types, ...certain, ...texted }).filter(([name]) => names.has(name));
  const typed =
    given.length === 0
      ? ''
      : `, types = {${given.map(([name, type]) => `${sqlName(name)}: '${type}'`).join(', ')}}`;
  const select = `read_csv([${files.map(sqlText).join(', ')}], ${dialect}, sample_size = ${sample}${typed})`;
  try {
    await connection.rows(`DESCRIBE SELECT * FROM ${select}`);
  } catch (error) {
    for (const [at, file] of files.entries()) await findBadLine(connection, file, headers[at] as CsvHeader);
    throw error;
  }
  return { select, judged };
}

/** Reads a file by its header alone, which names the line that does not fit; guessing the form of the file names none. */
async function findBadLine(connection: SqlConnection, file: string, header: CsvHeader): Promise<void> {
  const columns = header.names.map((name, at) => `${sqlName(name || `column${at}`)}: 'VARCHAR'`).join(', ');
  await connection.rows(
    `SELECT count(*) FROM read_csv(${sqlText(file)}, auto_detect = false, header = true, delim = ${sqlText(header.delimiter)}, quote = '"', escape = '"', columns = {${columns}})`,
  );
}

async function jsonSelect(
  connection: SqlConnection,
  { files, types }: TextFiles,
  texts: readonly string[],
): Promise<Selected> {
  const array = texts.findIndex((text) => text.trimStart().startsWith('['));
  if (array >= 0)
    throw unreadable(`${files[array]}: it is one JSON array; it must have one object on each line`);
  const form = `[${files.map(sqlText).join(', ')}], format = 'newline_delimited', union_by_name = true`;
  // All rows, since a field that is first given further down would otherwise not be read.
  const described = await connection.rows(
    `DESCRIBE SELECT * FROM read_json(${form}, sample_size = ${ALL_ROWS})`,
  );
  const judged: Judged[] = [];
  const columns = described.map((row) => {
    const [name, found] = [String(row.column_name), String(row.column_type)];
    const type = types[name] ?? '';
    const column = sqlName(name);
    // Values of several types.
    if (found === 'JSON' && type in JSON_TYPES) {
      const read = type === 'VARCHAR' ? `${column}->>'$'` : `TRY_CAST(${column} AS ${type})`;
      const value = `CASE WHEN json_type(${column}) IN ${JSON_TYPES[type]} THEN ${read} END`;
      judged.push({ name, type, value, isGiven: `coalesce(json_type(${column}), 'NULL') <> 'NULL'` });
    }
    // A text that looks like a date stays a text.
    const isText = type === 'VARCHAR' && /^(DATE|TIME|TIMESTAMP.*|UUID)$/.test(found);
    return `${sqlText(name)}: ${sqlText(isText ? 'VARCHAR' : found)}`;
  });
  const typed = columns.length === 0 ? '' : `, columns = {${columns.join(', ')}}`;
  return { select: `read_json(${form}${typed})`, judged };
}

function reasonOf({ name, type, value, isGiven }: Judged): string {
  const shown = `left(CAST(${sqlName(name)} AS VARCHAR), ${MOST_SHOWN})`;
  return `CASE WHEN ${isGiven} AND ${value} IS NULL THEN ${sqlText(`${name} must be ${WORDS[type]}, not `)} || ${shown} END`;
}

/** A column of which no value fits is the wrong column. */
async function checkAnyReadable(
  connection: SqlConnection,
  staged: string,
  judged: readonly Judged[],
): Promise<void> {
  if (judged.length === 0) return;
  const reason = sqlName(UNREADABLE);
  const counts = judged.map(({ name }) => `count(${sqlName(name)})`);
  const [row] = await connection.rows(
    `SELECT [${counts.join(', ')}]::VARCHAR AS readable, first(${reason}) FILTER (${reason} IS NOT NULL) AS why FROM read_parquet(${sqlText(staged)})`,
  );
  if (row?.why === null || row?.why === undefined) return;
  const readable = JSON.parse(String(row.readable)) as number[];
  const wrong = judged.filter(
    ({ name }, at) => readable[at] === 0 && String(row.why).includes(`${name} must be `),
  );
  if (wrong.length > 0)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `the source does not fit the model: no value of ${wrong.map(({ name }) => name).join(', ')} can be read; in the first such row, ${row.why}`,
      { reason: 'schema_mismatch' },
    );
}

/** The first lines of a file, as text; empty for an empty file. Throws INVALID_ARGUMENT for UTF-16. */
async function beginningOf(file: string): Promise<string> {
  await using handle = await open(file).catch((cause: unknown) => {
    throw new HotloopError('NOT_FOUND', `${file} is not there`, { cause });
  });
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
  const bytes = buffer.subarray(0, bytesRead);
  if (bytesRead >= 2 && ['fffe', 'feff'].includes(bytes.subarray(0, 2).toString('hex')))
    throw unreadable(`${file}: it is UTF-16; save it as UTF-8`);
  return bytes.toString('utf8');
}
