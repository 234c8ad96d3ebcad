import { HotloopError } from '@hotloop/proto/errors.ts';
import { directoryObjectStore } from './directory-object-store.ts';
import type { ObjectStore } from './object-store.ts';
import { type S3Options, s3ObjectStore } from './s3-object-store.ts';

/** S3 settings that are not part of the address. */
export type S3Settings = Pick<S3Options, 'endpoint' | 'region' | 'credentials'>;

/**
 * Opens the store at an address: a folder, or `s3://BUCKET[/PREFIX]`. Throws INVALID_ARGUMENT for another scheme.
 * Disposal ends its connections.
 */
export function openObjectStore(address: string, s3: S3Settings = {}): ObjectStore & Disposable {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/]+)\/?(.*)$/.exec(address);
  if (!match) return { ...directoryObjectStore(address), [Symbol.dispose]: () => undefined };
  const [, scheme = '', bucket = '', prefix = ''] = match;
  if (scheme !== 's3')
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${scheme}:// is not supported; use a folder or s3://BUCKET/PREFIX`,
    );
  return s3ObjectStore({ bucket, prefix: prefix.replace(/\/+$/, ''), ...s3 });
}
