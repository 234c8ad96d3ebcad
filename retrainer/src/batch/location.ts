import { HotloopError } from '@hotloop/proto/errors.ts';

export const FORMATS = ['parquet', 'csv', 'jsonl'] as const;
export type Format = (typeof FORMATS)[number];

/** Where rows come from or go to. A database is named by the environment variable that holds its address, never by the address. */
export type Location =
  | { readonly kind: 'file'; readonly path: string; readonly format: Format }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 's3'; readonly url: string }
  /** Times are milliseconds since 1970; messages of `toMs` are not among them. */
  | {
      readonly kind: 'kafka';
      readonly topic: string;
      readonly fromMs: number | undefined;
      readonly toMs: number | undefined;
    }
  | { readonly kind: 'table'; readonly variable: string; readonly table: string }
  | { readonly kind: 'query'; readonly variable: string; readonly query: string };

const EXTENSIONS: Readonly<Record<string, Format>> = {
  parquet: 'parquet',
  csv: 'csv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
};

const POSTGRES = /^postgres:([A-Z][A-Z0-9_]{0,62})(?:\/([\w.]+)|\?(.+))$/s;

const KAFKA = /^kafka:([A-Za-z0-9._-]{1,249})(?:\?(.*))?$/s;

/**
 * Takes apart what a command line says: a file (.parquet, .csv, .jsonl), a folder, `s3://BUCKET/PREFIX`,
 * `postgres:VARIABLE/TABLE`, `postgres:VARIABLE?SELECT ...` or `kafka:TOPIC?from=TIME&to=TIME`. Throws INVALID_ARGUMENT, without repeating the text where it may
 * hold a password.
 */
export function parseLocation(text: string): Location {
  const postgres = POSTGRES.exec(text);
  if (postgres) {
    const [, variable = '', table, query] = postgres;
    return table === undefined
      ? { kind: 'query', variable, query: query ?? '' }
      : { kind: 'table', variable, table };
  }
  if (/^postgres/i.test(text))
    throw invalid(
      'name a database by the variable that holds its address, so that no password is stored: postgres:SHOP_URL/TABLE or "postgres:SHOP_URL?SELECT ..."',
    );
  if (/^kafka:/i.test(text)) return kafkaLocation(text);
  if (text.startsWith('s3://')) {
    if (!/^s3:\/\/[a-z0-9][a-z0-9.-]{1,62}(\/[\w./=-]*)?$/.test(text))
      throw invalid('an S3 location is s3://BUCKET/PREFIX');
    return { kind: 's3', url: text };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
  if (scheme !== undefined)
    throw invalid(
      `${scheme}:// is no source or sink; use a file, a folder, s3://, kafka:TOPIC or postgres:VARIABLE`,
    );
  if (text === '') throw invalid('a source or sink is empty');
  const format = formatOf(text);
  return format === undefined ? { kind: 'folder', path: text } : { kind: 'file', path: text, format };
}

function kafkaLocation(text: string): Location {
  const [, topic, range = ''] = KAFKA.exec(text) ?? [];
  const given = new URLSearchParams(range);
  const unknown = [...given.keys()].find((name) => name !== 'from' && name !== 'to');
  if (topic === undefined || unknown !== undefined)
    throw invalid('a topic is kafka:TOPIC, or kafka:TOPIC?from=TIME&to=TIME');
  const [fromMs, toMs] = ['from', 'to'].map((name) => {
    const time = given.get(name);
    if (time === null) return undefined;
    const ms = Date.parse(/^\d{4}-\d\d-\d\d$/.test(time) ? `${time}T00:00:00Z` : time);
    if (Number.isNaN(ms)) throw invalid(`${name} must be a time, such as 2026-01-15 or 2026-01-15T12:00:00Z`);
    return ms;
  });
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) throw invalid('from must be before to');
  return { kind: 'kafka', topic, fromMs, toMs };
}

/** By a file's ending; undefined for others. */
export function formatOf(path: string): Format | undefined {
  return EXTENSIONS[/\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? ''];
}

function invalid(message: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'bad_location' });
}
