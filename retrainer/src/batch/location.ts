import { HotloopError } from '@hotloop/proto/errors.ts';

export const FORMATS = ['parquet', 'csv', 'jsonl'] as const;
export type Format = (typeof FORMATS)[number];

/** Where rows come from or go to. A database is named by the environment variable that holds its address, never by the address. */
export type Location =
  | { readonly kind: 'file'; readonly path: string; readonly format: Format }
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 's3'; readonly url: string }
  | { readonly kind: 'table'; readonly variable: string; readonly table: string }
  | { readonly kind: 'query'; readonly variable: string; readonly query: string };

const EXTENSIONS: Readonly<Record<string, Format>> = {
  parquet: 'parquet',
  csv: 'csv',
  jsonl: 'jsonl',
  ndjson: 'jsonl',
};

const POSTGRES = /^postgres:([A-Z][A-Z0-9_]{0,62})(?:\/([\w.]+)|\?(.+))$/s;

/**
 * Takes apart what a command line says: a file (.parquet, .csv, .jsonl), a folder, `s3://BUCKET/PREFIX`,
 * `postgres:VARIABLE/TABLE` or `postgres:VARIABLE?SELECT ...`. Throws INVALID_ARGUMENT, without repeating the text where it may
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
  if (text.startsWith('s3://')) {
    if (!/^s3:\/\/[a-z0-9][a-z0-9.-]{1,62}(\/[\w./=-]*)?$/.test(text))
      throw invalid('an S3 location is s3://BUCKET/PREFIX');
    return { kind: 's3', url: text };
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1];
  if (scheme !== undefined)
    throw invalid(`${scheme}:// is no source or sink; use a file, a folder, s3:// or postgres:VARIABLE`);
  if (text === '') throw invalid('a source or sink is empty');
  const format = formatOf(text);
  return format === undefined ? { kind: 'folder', path: text } : { kind: 'file', path: text, format };
}

/** By a file's ending; undefined for others. */
export function formatOf(path: string): Format | undefined {
  return EXTENSIONS[/\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase() ?? ''];
}

function invalid(message: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'bad_location' });
}
