import { HotloopError } from '@hotloop/proto/errors.ts';

const KEY = /^[A-Za-z0-9_=-][A-Za-z0-9._=-]*(\/[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*$/;
const MAX_LENGTH = 512;

/** Returns the key, or throws INVALID_ARGUMENT. No part may start with a dot, so no key leaves the store's folder. */
export function checkedKey(key: string): string {
  if (key.length <= MAX_LENGTH && KEY.test(key)) return key;
  throw new HotloopError('INVALID_ARGUMENT', `not a valid object key: ${JSON.stringify(key.slice(0, 80))}`);
}

/** Encodes a text as one part of a key: each byte that a key cannot contain becomes `=XX`. */
export function keyPart(text: string): string {
  const written = [...Buffer.from(text)]
    .map((byte) => {
      const character = String.fromCharCode(byte);
      return /[A-Za-z0-9_-]/.test(character) ? character : `=${byte.toString(16).padStart(2, '0')}`;
    })
    .join('');
  return written === '' ? '=' : written;
}

export function notFound(key: string, cause: unknown): HotloopError {
  return new HotloopError('NOT_FOUND', `${key} is not in the store`, { cause });
}

export function storeAway(cause: unknown): HotloopError {
  return new HotloopError('UNAVAILABLE', 'the store cannot be reached; try again', {
    reason: 'store_unavailable',
    cause,
  });
}
