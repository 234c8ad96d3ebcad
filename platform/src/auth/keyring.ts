import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from '../log.ts';
import { type ApiKeyRecord, type ApiKeyStore, keyDigest } from './api-key-store.ts';
import {
  type Authenticator,
  type Caller,
  createAuthenticator,
  type HeaderOf,
  keyOf,
} from './authorization.ts';
import { isJwt, type JwtVerifier } from './jwt-verifier.ts';
import { TokenBucket } from './token-bucket.ts';

export interface KeyringOptions {
  /** HOTLOOP_API_KEYS; they have no scope and no quota. */
  readonly apiKeys: string | undefined;
  /** How soon a key that was made or revoked is known; default 2 s. */
  readonly refreshMs?: number;
  /** Takes tokens of an issuer beside keys. */
  readonly tokens?: JwtVerifier | undefined;
  readonly now?: () => number;
}

/** An authenticator over the keys of the environment and those of the table, which it follows until it is disposed of. */
export interface Keyring extends Authenticator, AsyncDisposable {
  /** Reads the table at once. Never rejects: while Postgres is away the last known keys count. */
  refresh(): Promise<void>;
}

interface Known {
  readonly caller: Caller;
  readonly expiresMs: number;
}

/**
 * Opens the keyring. Keys of the table count only where HOTLOOP_API_KEYS or an issuer of tokens is set: without either everything is
 * open.
 */
export async function openKeyring(
  store: Pick<ApiKeyStore, 'list'>,
  log: Log,
  { apiKeys, refreshMs = 2000, tokens, now = Date.now }: KeyringOptions,
): Promise<Keyring> {
  const fixed = createAuthenticator(apiKeys);
  const required = fixed.required || tokens !== undefined;
  let known = new Map<string, Known>();
  const callers = new Map<string, Caller>();
  const callerOf = (record: ApiKeyRecord): Caller => {
    const caller = callers.get(record.id) ?? newCaller(record, now);
    callers.set(record.id, caller);
    return caller;
  };
  const refresh = async () => {
    try {
      const records = (await store.list()).filter(({ revoked }) => !revoked);
      known = new Map(
        records.map((record) => [
          record.digest,
          { caller: callerOf(record), expiresMs: record.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY },
        ]),
      );
      for (const id of callers.keys()) if (!records.some((record) => record.id === id)) callers.delete(id);
    } catch (error) {
      log.debug({ error }, 'API keys cannot be read; those known before count on');
    }
  };
  if (required) await refresh();
  const timer = required ? setInterval(() => void refresh(), refreshMs) : undefined;
  timer?.unref();
  return {
    required,
    authenticate(header: HeaderOf): Caller | Promise<Caller> {
      const key = required ? keyOf(header) : undefined;
      if (key !== undefined && tokens && isJwt(key)) return tokens.verify(key);
      const found = key === undefined ? undefined : known.get(keyDigest(key));
      if (found === undefined) return fixed.required || !required ? fixed.authenticate(header) : unknown(key);
      if (found.expiresMs > now()) return found.caller;
      throw new HotloopError('UNAUTHENTICATED', 'the API key has expired', { reason: 'expired_api_key' });
    },
    refresh,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
    },
  };
}

/** Its quota lives as long as the key: reading the table again does not fill it up. */
function newCaller({ subject, roles, models, perSecond }: ApiKeyRecord, now: () => number): Caller {
  const bucket = perSecond === undefined ? undefined : new TokenBucket(perSecond, now());
  return {
    subject,
    roles: new Set(roles),
    ...(models === undefined ? {} : { models: new Set(models) }),
    ...(bucket === undefined ? {} : { mayAsk: () => bucket.take(now()) }),
  };
}

function unknown(key: string | undefined): never {
  throw new HotloopError(
    'UNAUTHENTICATED',
    key ? 'the API key is not known' : 'send a token or an API key as "authorization: Bearer KEY"',
    { reason: key ? 'unknown_api_key' : 'missing_api_key' },
  );
}
