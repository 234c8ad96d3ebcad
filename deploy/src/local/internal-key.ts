import { randomBytes } from 'node:crypto';

const KEY_BYTES = 32;

/**
 * The environment of services whose callers need keys: with HOTLOOP_API_KEYS set, the services get one more key, made for this
 * start, for their own calls to each other.
 */
export function withInternalKey(environment: Readonly<Record<string, string>>): Record<string, string> {
  const { HOTLOOP_API_KEYS } = environment;
  if (HOTLOOP_API_KEYS === undefined || HOTLOOP_API_KEYS.trim() === '') return { ...environment };
  const key = randomBytes(KEY_BYTES).toString('base64url');
  return {
    ...environment,
    HOTLOOP_API_KEYS: `${HOTLOOP_API_KEYS},${key}:hotloop-internal:predict+feedback+operate`,
    HOTLOOP_API_KEY: key,
  };
}
