import { randomBytes } from 'node:crypto';

const KEY_BYTES = 32;

/**
 * The environment of services whose callers need keys: with HOTLOOP_API_KEYS or HOTLOOP_OIDC_ISSUER set, the services
 * get an additional key, generated for this start, for their own calls to each other.
 */
export function withInternalKey(environment: Readonly<Record<string, string>>): Record<string, string> {
  const { HOTLOOP_API_KEYS = '', HOTLOOP_OIDC_ISSUER = '' } = environment;
  const own = HOTLOOP_API_KEYS.trim();
  if (own === '' && HOTLOOP_OIDC_ISSUER === '') return { ...environment };
  const key = randomBytes(KEY_BYTES).toString('base64url');
  return {
    ...environment,
    HOTLOOP_API_KEYS: `${own === '' ? '' : `${own},`}${key}:hotloop-internal:predict+feedback+operate`,
    HOTLOOP_API_KEY: key,
  };
}
