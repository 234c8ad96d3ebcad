import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';

/** A source that cannot be read. */
export function unreadable(message: string, cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'unreadable_source', cause });
}

/**
 * What DuckDB says about a file, in one line with the file and the line: without the options that it advises, which a batch does not have,
 * and without its statement. Other errors are returned as they are.
 */
export function sourceProblem(error: unknown): HotloopError {
  const known = toHotloopError(error);
  if (known.reason !== 'duckdb') return known;
  const message = known.message.split(/\n+LINE \d+:/)[0] ?? '';
  const csv = /CSV Error on Line: (\d+)/.exec(message);
  if (csv) {
    const lines = message.split('\n').slice(1);
    const why = lines.find((line) => line !== '' && !line.startsWith('Original Line:'));
    const file = /^\s*file = (.+)$/m.exec(message)?.[1];
    return unreadable(`${file === undefined ? '' : `${file}, `}line ${csv[1]}: ${why}`, error);
  }
  const magic = /No magic bytes found at end of file '(.+)'/.exec(message);
  if (magic) return unreadable(`${magic[1]}: it is no Parquet file, or not all of it is there`, error);
  const [first = ''] = message.split('\n');
  return unreadable(first.replace(/^[A-Za-z ]+ Error:\s*/, '').trim(), error);
}
