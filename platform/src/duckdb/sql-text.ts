import type { DuckDBValue } from '@duckdb/node-api';

/** A value as Postgres writes it as text; null is NULL. Lists and structs become JSON. */
export function textOf(value: DuckDBValue): string | null {
  if (value === null) return null;
  switch (typeof value) {
    case 'string':
      return value;
    case 'boolean':
      return value ? 't' : 'f';
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return value.toString();
    default:
      return objectText(value);
  }
}

/** The shortest text that reads back as the same 32-bit float, as Postgres writes a float4. */
export function float32Text(value: DuckDBValue): string | null {
  if (typeof value !== 'number' || !Number.isFinite(value) || value === 0) return textOf(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return textOf(short);
  }
  return textOf(Number(value.toPrecision(9)));
}

function objectText(value: object): string {
  if ('items' in value || 'entries' in value) return JSON.stringify(plain(value as never));
  if ('bytes' in value) return `\\x${Buffer.from(value.bytes as Uint8Array).toString('hex')}`;
  return String(value);
}

function plain(value: DuckDBValue): unknown {
  if (value === null || typeof value !== 'object') return typeof value === 'bigint' ? Number(value) : value;
  if ('items' in value) return (value.items as readonly DuckDBValue[]).map(plain);
  if ('entries' in value) {
    const { entries } = value as { entries: unknown };
    if (Array.isArray(entries))
      return Object.fromEntries(entries.map(({ key, value: entry }) => [String(key), plain(entry)]));
    return Object.fromEntries(
      Object.entries(entries as Record<string, DuckDBValue>).map(([key, entry]) => [key, plain(entry)]),
    );
  }
  return String(value);
}
