import { parse } from 'csv-parse/sync';

/** The months of the data in the order of the year; the data have neither January nor April. */
export const MONTHS = ['Feb', 'Mar', 'May', 'June', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
export type Month = (typeof MONTHS)[number];

/** What version 1 learns from, what is replayed while it serves, and what both versions are judged on. */
export const PARTS = {
  first: ['Feb', 'Mar'],
  replayed: ['May', 'June', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov'],
  judged: ['Dec'],
} as const satisfies Record<string, readonly Month[]>;

/** Columns that are numbers of the session. */
export const NUMBER_COLUMNS = [
  'Administrative',
  'Administrative_Duration',
  'Informational',
  'Informational_Duration',
  'ProductRelated',
  'ProductRelated_Duration',
  'BounceRates',
  'ExitRates',
  'PageValues',
  'SpecialDay',
] as const;

const COLUMNS = [...NUMBER_COLUMNS, 'Month', 'VisitorType', 'Weekend', 'Revenue'] as const;
type Column = (typeof COLUMNS)[number];

/** One session of an online shop, without its month: a model shall know a session, not the calendar. */
export interface ShopperSession {
  /** Its line in the file, so that it can be found again. */
  readonly key: string;
  readonly month: Month;
  /** What features read as request.NAME. */
  readonly request: Readonly<Record<string, number | string | boolean>>;
  /** Whether the session ended in a purchase: known only when it ends. */
  readonly revenue: boolean;
}

/** A file that cannot be read as sessions; the message names the line and the column. */
export class SessionFileError extends Error {
  override readonly name = 'SessionFileError';
}

/** Reads sessions in the order of the year, and of the file within a month. Throws SessionFileError. */
export function readSessions(csv: string): readonly ShopperSession[] {
  const rows = parseRows(csv);
  const [header = [], ...lines] = rows;
  const at = new Map(header.map((name, index) => [name.trim(), index]));
  const missing = COLUMNS.filter((column) => !at.has(column));
  if (missing.length > 0)
    throw new SessionFileError(
      `the file has no column ${missing.join(', ')}; its first line must name ${COLUMNS.join(', ')}`,
    );
  if (lines.length === 0) throw new SessionFileError('the file has a first line, but no sessions');
  const sessions = lines.map((cells, index) => {
    const line = index + 2;
    return sessionOf((column) => cells[at.get(column)!]?.trim() ?? '', line);
  });
  return sessions.toSorted((a, b) => MONTHS.indexOf(a.month) - MONTHS.indexOf(b.month));
}

/** The sessions of some months, in order of time. */
export function sessionsOf(
  sessions: readonly ShopperSession[],
  months: readonly Month[],
): readonly ShopperSession[] {
  return sessions.filter((session) => months.includes(session.month));
}

function parseRows(csv: string): string[][] {
  try {
    return parse(csv, { relax_column_count: true, skip_empty_lines: true, bom: true });
  } catch (error) {
    throw new SessionFileError(
      `the file is not CSV: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function sessionOf(cell: (column: Column) => string, line: number): ShopperSession {
  const request: Record<string, number | string | boolean> = {};
  for (const column of NUMBER_COLUMNS) {
    const value = Number(cell(column));
    if (cell(column) === '' || !Number.isFinite(value)) throw misfit(line, column, 'a number', cell(column));
    request[column] = value;
  }
  request.VisitorType = cell('VisitorType');
  request.Weekend = flag(cell('Weekend'), 'Weekend', line);
  const month = MONTHS.find((name) => name === cell('Month'));
  if (!month) throw misfit(line, 'Month', `one of ${MONTHS.join(', ')}`, cell('Month'));
  return {
    key: `line-${line}`,
    month,
    request,
    revenue: flag(cell('Revenue'), 'Revenue', line),
  };
}

function flag(text: string, column: Column, line: number): boolean {
  if (/^true$/i.test(text)) return true;
  if (/^false$/i.test(text)) return false;
  throw misfit(line, column, 'TRUE or FALSE', text);
}

function misfit(line: number, column: Column, rule: string, given: string): SessionFileError {
  return new SessionFileError(
    `line ${line}, column ${column}: must be ${rule}, not ${JSON.stringify(given.slice(0, 40))}`,
  );
}
