/** A file as it looks in its first rows, and how to read it. */
export interface Shape {
  readonly columns: readonly string[];
  readonly rows: number;
  readonly encoding: string;
  readonly delimiter: string;
  /** False: the first line is a row, and columns are numbered. */
  readonly hasHeader: boolean;
  /** How the texts of each column become what the server reads. */
  readonly rewrites: readonly Rewrite[];
}

export type Rewrite = 'none' | 'decimal_comma' | 'thousands' | 'date' | 'day_first' | 'month_first';

/** A file with commas, UTF-8, points in decimals and times of RFC 3339. */
export interface TidyFile {
  readonly file: Blob;
  /** The beginning of it, for a draft. */
  readonly head: Blob;
  readonly rows: number;
  /** Rows that have another number of values than the header. */
  readonly leftOut: number;
}

/** How much of a file is looked at. */
export const HEAD_BYTES = 4 << 20;
const LEAST_ROWS = 20;
const MOST_LOOKED_AT = 5_000;
const SLICE_BYTES = 4 << 20;
const MOST_HEADER = 1 << 20;
const DELIMITERS = [',', ';', '\t', '|'] as const;

const PLAIN_NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DECIMAL_COMMA = /^[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?$/;
const THOUSANDS = /^[+-]?\d{1,3}(,\d{3})*(\.\d+)?$/;
const DATE = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d{1,9})?)?)?$/;

const SPLIT_DATE = /^(\d{1,2})[./-](\d{1,2})[./-](\d{4})(?: (\d{2}:\d{2})(:\d{2})?)?$/;

/** The encoding of a text file by its first bytes: what its mark says, UTF-8 where it is valid, otherwise Windows-1252. Pure. */
export function encodingOf(head: Uint8Array): string {
  const [first, second] = head;
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  if (first === 0xfe && second === 0xff) return 'utf-16be';
  try {
    // The last character may be cut.
    new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true });
    return 'utf-8';
  } catch {
    return 'windows-1252';
  }
}

/** Looks at the beginning of a file. Pure. */
export function shapeOf(head: Uint8Array): Shape {
  const encoding = encodingOf(head);
  const text = new TextDecoder(encoding).decode(head, { stream: true });
  const unquoted = text
    .slice(0, MOST_HEADER)
    .replaceAll(/"[^"]*"/g, '')
    .replace(/^[\r\n]+/, '');
  const firstLine = unquoted.split(/[\r\n]/, 1)[0] ?? '';
  const count = (sign: string) => firstLine.split(sign).length;
  const delimiter = DELIMITERS.reduce((best, sign) => (count(sign) > count(best) ? sign : best));
  const lines: string[][] = [];
  const parser = new CsvParser(delimiter, (line) => lines.push(line));
  parser.write(text);
  // A longer file goes on in the middle of a line.
  if (head.length < HEAD_BYTES) parser.end();
  const [first = [], ...others] = lines;
  const rows = others.slice(0, MOST_LOOKED_AT).filter((line) => line.length === first.length);
  const textsOf = (column: number) =>
    rows.map((row) => (row[column] ?? '').trim()).filter((cell) => cell !== '');
  const rewrites = first.map((_, column) => rewriteOf(textsOf(column), delimiter));
  const isNumber = (cell: string) => PLAIN_NUMBER.test(cell) || DECIMAL_COMMA.test(cell);
  const numeric = first.map((_, column) => textsOf(column).length > 0 && textsOf(column).every(isNumber));
  const hasHeader = !(
    numeric.includes(true) && numeric.every((is, column) => !is || isNumber((first[column] ?? '').trim()))
  );
  return {
    ...{ encoding, delimiter, hasHeader, rewrites, rows: rows.length },
    columns: hasHeader
      ? onceEach(first.map((title) => title.trim()))
      : first.map((_, index) => `column_${index + 1}`),
  };
}

/** Why nothing can be learnt from a file; empty when something can. Pure. */
export function problemOf({ columns, rows, encoding }: Shape, head: Uint8Array): string {
  if (head.length === 0) return 'The file is empty.';
  if (head[0] === 0x50 && head[1] === 0x4b && head[2] === 3)
    return 'This is a workbook or an archive, not a CSV: save the sheet as CSV first.';
  if (!encoding.startsWith('utf-16') && head.includes(0)) return 'This is no CSV: it is not a text file.';
  if (columns.length < 2)
    return 'At least two columns are needed, divided by commas: what to predict, and what to predict it from.';
  if (rows < LEAST_ROWS)
    return `At least ${LEAST_ROWS} rows are needed, each with ${columns.length} values as in the first line; this file has ${rows}.`;
  return '';
}

/** What is read otherwise than it is written, in words. Pure. */
export function notesOf({ encoding, delimiter, hasHeader, rewrites, columns }: Shape): readonly string[] {
  const named = (rewrite: Rewrite) => columns.filter((_, index) => rewrites[index] === rewrite).join(', ');
  const divider = { ';': 'semicolons', '\t': 'tabs', '|': 'bars' }[delimiter];
  const notes = [
    encoding !== 'utf-8' &&
      `The text is ${encoding === 'windows-1252' ? 'Windows-1252' : encoding.toUpperCase()}.`,
    divider !== undefined && `Columns are divided by ${divider}.`,
    !hasHeader && 'The first line is a row, so columns are numbered.',
    named('decimal_comma') !== '' && `Commas are decimal points in ${named('decimal_comma')}.`,
    named('thousands') !== '' && `Commas group thousands in ${named('thousands')}.`,
    named('date') !== '' && `Times without an offset are UTC in ${named('date')}.`,
    named('day_first') !== '' && `Dates begin with the day in ${named('day_first')}.`,
    named('month_first') !== '' && `Dates begin with the month in ${named('month_first')}.`,
  ];
  return notes.filter((note) => note !== false);
}

/** Reads a whole file, slice by slice, and writes it as the server reads it. Throws Error for a quote without end. */
export async function tidy(file: Blob, shape: Shape): Promise<TidyFile> {
  const { columns, delimiter, encoding, hasHeader, rewrites } = shape;
  const decoder = new TextDecoder(encoding);
  const parts: Blob[] = [];
  let text = `${columns.map(quoted).join(',')}\n`;
  let [rows, leftOut, isFirst] = [0, 0, hasHeader];
  const parser = new CsvParser(delimiter, (line) => {
    if (isFirst) {
      isFirst = false;
    } else if (line.length !== columns.length) {
      leftOut++;
    } else {
      rows++;
      text += `${line.map((cell, column) => quoted(rewritten(cell, rewrites[column] ?? 'none'))).join(',')}\n`;
    }
  });
  for (let at = 0; at < file.size; at += SLICE_BYTES) {
    const slice = await file.slice(at, at + SLICE_BYTES).arrayBuffer();
    parser.write(decoder.decode(slice, { stream: true }));
    parts.push(new Blob([text]));
    text = '';
  }
  parser.write(decoder.decode());
  const openedAt = parser.end();
  if (openedAt > 0) throw new Error(`Line ${openedAt} opens a quote that is never closed.`);
  parts.push(new Blob([text]));
  return { file: new Blob(parts), head: parts[0] ?? new Blob(), rows, leftOut };
}

function rewriteOf(texts: readonly string[], delimiter: string): Rewrite {
  const all = (pattern: RegExp) => texts.length > 0 && texts.every((text) => pattern.test(text));
  if (all(DATE)) return 'date';
  if (all(SPLIT_DATE)) return dayOrMonthFirst(texts);
  if (!texts.some((text) => text.includes(','))) return 'none';
  if (delimiter === ',') return all(THOUSANDS) ? 'thousands' : 'none';
  return all(DECIMAL_COMMA) ? 'decimal_comma' : 'none';
}

/** Which part is the day, where one is above 12, or where dots divide them; "none" where that cannot be known. */
function dayOrMonthFirst(texts: readonly string[]): Rewrite {
  const parts = texts.map((text) => SPLIT_DATE.exec(text));
  const highest = (part: 1 | 2) => Math.max(...parts.map((found) => Number(found?.[part])));
  if (highest(1) > 31 || highest(2) > 31) return 'none';
  if (highest(1) > 12) return highest(2) > 12 ? 'none' : 'day_first';
  if (highest(2) > 12) return 'month_first';
  return texts.every((text) => text.includes('.')) ? 'day_first' : 'none';
}

function rewritten(cell: string, rewrite: Rewrite): string {
  const text = cell.trim();
  switch (rewrite) {
    case 'none':
      return cell;
    case 'decimal_comma':
      return DECIMAL_COMMA.test(text) ? text.replaceAll('.', '').replace(',', '.') : cell;
    case 'thousands':
      return THOUSANDS.test(text) ? text.replaceAll(',', '') : cell;
    case 'date': {
      const [, day, minutes = '00:00', seconds = ':00'] = DATE.exec(text) ?? [];
      return day === undefined ? cell : `${day}T${minutes}${seconds}Z`;
    }
    case 'day_first':
    case 'month_first': {
      const [, one = '', other = '', year, minutes = '00:00', seconds = ':00'] = SPLIT_DATE.exec(text) ?? [];
      if (year === undefined) return cell;
      const [day, month] = rewrite === 'day_first' ? [one, other] : [other, one];
      return `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}T${minutes}${seconds}Z`;
    }
  }
}

/** RFC 4180 with any delimiter and line end, piece by piece. Empty lines are skipped; a BOM is dropped by the decoder. */
class CsvParser {
  readonly #delimiter: string;
  readonly #onLine: (line: string[]) => void;
  #line: string[] = [];
  #field = '';
  #state: 'plain' | 'quoted' | 'after_quote' = 'plain';
  #afterReturn = false;
  #lines = 1;
  #openedAt = 0;

  constructor(delimiter: string, onLine: (line: string[]) => void) {
    this.#delimiter = delimiter;
    this.#onLine = onLine;
  }

  write(text: string): void {
    for (const sign of text) {
      if (sign === '\n') this.#lines++;
      const isSecond = this.#afterReturn && sign === '\n';
      this.#afterReturn = false;
      if (!isSecond) this.#take(sign);
    }
  }

  /** Returns the line in which a quote is opened that does not end; 0 where there is none. */
  end(): number {
    if (this.#state === 'quoted') return this.#openedAt;
    if (this.#field !== '' || this.#line.length > 0) this.#endLine();
    return 0;
  }

  #take(sign: string): void {
    if (this.#state === 'quoted') {
      if (sign === '"') this.#state = 'after_quote';
      else this.#field += sign;
      return;
    }
    if (this.#state === 'after_quote') {
      this.#state = sign === '"' ? 'quoted' : 'plain';
      if (sign === '"') {
        this.#field += '"';
        return;
      }
    }
    if (sign === '"' && this.#field === '') {
      this.#state = 'quoted';
      this.#openedAt = this.#lines;
    } else if (sign === this.#delimiter) {
      this.#line.push(this.#field);
      this.#field = '';
    } else if (sign === '\n' || sign === '\r') {
      this.#afterReturn = sign === '\r';
      this.#endLine();
    } else this.#field += sign;
  }

  #endLine(): void {
    const line = [...this.#line, this.#field];
    [this.#line, this.#field] = [[], ''];
    if (line.length > 1 || line[0] !== '') this.#onLine(line);
  }
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** A title that is there again gets a number; an empty one, that of its column. */
function onceEach(titles: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return titles.map((title, index) => {
    const plain = title || `column_${index + 1}`;
    let unique = plain;
    for (let next = 2; taken.has(unique); next++) unique = `${plain}_${next}`;
    taken.add(unique);
    return unique;
  });
}
