import { toHotloopError } from '@hotloop/proto/errors.ts';

/** An error for a client of the Postgres protocol. */
export interface SqlError {
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  /** Position in the statement, in characters from 1. */
  readonly position?: number;
}

/** SQLSTATE by the beginning of DuckDB's message; the first match counts. */
const STATES: readonly (readonly [RegExp, string])[] = [
  [/^Parser Error/, '42601'],
  // The driver's only message for text that it cannot parse.
  [/^Error in native callback/, '42601'],
  [/^Catalog Error: (Table|View) .* does not exist/, '42P01'],
  [/^Catalog Error: .*[Ff]unction .* does not exist/, '42883'],
  [/^Catalog Error: .*already exists/, '42P07'],
  [/^Catalog Error/, '42704'],
  [/^Binder Error: (Referenced (column|table)|Table .* does not have a column)/, '42703'],
  [/^Binder Error: No function matches/, '42883'],
  [/^Binder Error: .*ambiguous/i, '42702'],
  [/^Binder Error: .*GROUP BY/, '42803'],
  [/^Binder Error/, '42804'],
  [/^Conversion Error/, '22P02'],
  [/^Out of Range Error/, '22003'],
  [/^Constraint Error/, '23505'],
  [/^Permission Error/, '42501'],
  [/^Not implemented/i, '0A000'],
  [/^Invalid (Input )?Error: Values were not provided/, '08P01'],
  [/^Invalid/, '22023'],
];

/** SQLSTATE of our own errors, by code. */
const CODES: Readonly<Partial<Record<string, string>>> = {
  CANCELLED: '57014',
  RESOURCE_EXHAUSTED: '53200',
  NOT_FOUND: '42704',
  PERMISSION_DENIED: '42501',
  UNAUTHENTICATED: '28P01',
  UNIMPLEMENTED: '0A000',
  FAILED_PRECONDITION: '55000',
  UNAVAILABLE: '08006',
  INVALID_ARGUMENT: '22023',
  ALREADY_EXISTS: '42P07',
};

/** Converts an error of DuckDB or of ours to the form of Postgres. */
export function sqlErrorOf(error: unknown, sql: string): SqlError {
  const known = toHotloopError(error);
  if (known.reason !== 'duckdb') return { code: CODES[known.code] ?? 'XX000', message: known.message };
  const [first = ''] = known.message.split(/\n\nLINE \d+:|\nLINE \d+:/);
  const message = first.replace(/^[A-Za-z ]+ Error:\s*/, '').trim();
  const code = STATES.find(([pattern]) => pattern.test(known.message))?.[1] ?? 'XX000';
  const position = positionOf(known.message, sql);
  return { code, message, ...(position === undefined ? {} : { position }) };
}

/** DuckDB shows the line and a caret below it. Long lines are cut, so the text at the caret is searched for in the statement. */
function positionOf(message: string, sql: string): number | undefined {
  const shown = /LINE (\d+): (.*)\n(\s*)\^/.exec(message);
  if (!shown) return undefined;
  const [, number = '1', text = '', space = ''] = shown;
  const lines = sql.split('\n');
  const line = lines[Number(number) - 1] ?? '';
  const caret = Math.max(0, space.length - `LINE ${number}: `.length);
  const cut = text.startsWith('...');
  const rest = text.slice(caret).replace(/\.\.\.$/, '');
  const column = cut ? line.indexOf(rest) : caret;
  if (column < 0) return undefined;
  return lines.slice(0, Number(number) - 1).reduce((total, each) => total + each.length + 1, 0) + column + 1;
}
