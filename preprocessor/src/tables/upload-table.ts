import { HotloopError } from '@hotloop/proto/errors.ts';
import type { FileRow } from './read-rows.ts';
import { checkRow, type TableRow, type TableSchema } from './table-schema.ts';
import type { TableStore } from './table-store.ts';

export interface RefusedRow {
  readonly line: number;
  readonly problem: string;
}

export interface UploadResult {
  readonly table: string;
  readonly version: number;
  readonly rows: number;
  readonly refused: number;
  /** The first rejected rows. */
  readonly refusedRows: readonly RefusedRow[];
}

const BATCH = 1000;
const SHOWN = 100;

/**
 * Validates a file row by row, stores the valid rows as a new version of the table, and makes it live. When more than
 * `maxRefused` rows are rejected, nothing changes: INVALID_ARGUMENT with the first lines and their problems. A second
 * row with the same key is rejected. Memory: one batch of rows.
 */
export async function uploadTable(
  store: TableStore,
  given: {
    readonly name: string;
    readonly schema: TableSchema;
    readonly rows: AsyncIterable<FileRow>;
    /** Values are texts, as in CSV. */
    readonly asTexts: boolean;
    readonly maxRefused: number;
  },
): Promise<UploadResult> {
  const { name, schema, rows, asTexts, maxRefused } = given;
  const version = await store.begin(name);
  const refusedRows: RefusedRow[] = [];
  let refused = 0;
  let kept = 0;
  const refuse = (line: number, problem: string) => {
    refused++;
    if (refusedRows.length < SHOWN) refusedRows.push({ line, problem });
    // Beyond the limit, reading the rest would be useless.
    if (refused > maxRefused + SHOWN) throw tooMany(refused, maxRefused, refusedRows);
  };
  try {
    let batch: { line: number; row: TableRow }[] = [];
    const flush = async () => {
      const repeated = await store.add(
        name,
        version,
        batch.map(({ row }) => row),
      );
      kept += batch.length - repeated.length;
      for (const at of repeated) {
        const { line, row } = batch[at] as { line: number; row: TableRow };
        refuse(line, `${schema.key}: ${JSON.stringify(row.key.slice(0, 40))} appears in an earlier row`);
      }
      batch = [];
    };
    for await (const { line, values, problem } of rows) {
      const row = values === undefined ? (problem ?? 'cannot be read') : checkRow(schema, values, asTexts);
      if (typeof row === 'string') refuse(line, row);
      else if (batch.push({ line, row }) >= BATCH) await flush();
    }
    if (batch.length > 0) await flush();
    refusedRows.sort((a, b) => a.line - b.line);
    if (refused > maxRefused) throw tooMany(refused, maxRefused, refusedRows);
    if (kept === 0)
      throw new HotloopError('INVALID_ARGUMENT', 'the file has no rows', { reason: 'invalid_table' });
    await store.publish(name, version, { rows: kept, refused });
    return { table: name, version, rows: kept, refused, refusedRows };
  } catch (error) {
    await store.discard(name, version).catch(() => undefined);
    throw error;
  }
}

function tooMany(refused: number, most: number, rows: readonly RefusedRow[]): HotloopError {
  const shown = rows.slice(0, 20).map(({ line, problem }) => `line ${line}: ${problem}`);
  return new HotloopError(
    'INVALID_ARGUMENT',
    `${refused} rows are refused, at most ${most} may be; the table is unchanged. ${shown.join('; ')}`,
    { reason: 'refused_rows' },
  );
}
