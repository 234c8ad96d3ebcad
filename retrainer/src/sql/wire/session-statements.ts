/** Effect and answer of a statement about the session. */
export interface SessionStatement {
  readonly tag: string;
  readonly transaction?: 'I' | 'T';
  readonly timeoutMs?: number;
  readonly show?: { readonly name: string; readonly value: string };
}

/** Answers to SHOW, and parameters that a new session receives. */
export const PARAMETERS: Readonly<Record<string, string>> = {
  server_version: '16.0 (Hotloop)',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  integer_datetimes: 'on',
  standard_conforming_strings: 'on',
};

const UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/**
 * Handles statements that drivers send about their session: transactions (without effect, each statement is independent), SET, SHOW,
 * DISCARD and so on. Undefined for everything else.
 */
export function sessionStatement(sql: string): SessionStatement | undefined {
  const text = sql.trim();
  const first = /^\w+/.exec(text)?.[0].toUpperCase() ?? '';
  switch (first) {
    case 'BEGIN':
    case 'START':
      return { tag: first === 'BEGIN' ? 'BEGIN' : 'START TRANSACTION', transaction: 'T' };
    case 'COMMIT':
    case 'END':
      return { tag: 'COMMIT', transaction: 'I' };
    case 'ROLLBACK':
    case 'ABORT':
      return { tag: 'ROLLBACK', transaction: 'I' };
    case 'SAVEPOINT':
    case 'RELEASE':
      return { tag: first };
    case 'RESET':
    case 'DEALLOCATE':
    case 'LISTEN':
    case 'UNLISTEN':
      return { tag: first };
    case 'DISCARD':
      return { tag: 'DISCARD ALL' };
    case 'SET':
      return { tag: 'SET', ...timeoutOf(text) };
    case 'SHOW':
      return shown(text);
    default:
      return undefined;
  }
}

function timeoutOf(text: string): { timeoutMs?: number } {
  const match = /\bstatement_timeout\s*(?:=|to)\s*'?(\d+)\s*(ms|s|min|h)?'?/i.exec(text);
  if (!match) return {};
  return { timeoutMs: Number(match[1]) * (UNITS[match[2]?.toLowerCase() ?? ''] ?? 1) };
}

function shown(text: string): SessionStatement | undefined {
  const name = /^show\s+([\w ]+?)\s*$/i.exec(text)?.[1]?.toLowerCase() ?? '';
  if (name === 'transaction isolation level') return { tag: 'SHOW', show: { name, value: 'read committed' } };
  const known = Object.entries(PARAMETERS).find(([key]) => key.toLowerCase() === name);
  return known ? { tag: 'SHOW', show: { name: known[0], value: known[1] } } : undefined;
}
