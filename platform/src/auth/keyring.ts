import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from '../log.ts';
import { type ApiKeyRecord, type ApiKeyStore, keyDigest } from './api-key-store.ts';
import {
  type Authenticator,
  type Caller,
  createAuthenticator,
  type HeaderOf,
  keyOf,
  type ModelScope,
} from './authorization.ts';
import { isJwt, type JwtVerifier } from './jwt-verifier.ts';
import { modelsOf, type Project, type ProjectStore } from './project-store.ts';
import { TokenBucket } from './token-bucket.ts';

export interface KeyringOptions {
  /** HOTLOOP_API_KEYS; these keys have no scope and no quota. */
  readonly apiKeys: string | undefined;
  /** Interval at which the table is read, so the delay until a new or revoked key takes effect; default 2 s. */
  readonly refreshMs?: number;
  /** Verifies tokens of an issuer, which are accepted in addition to keys. */
  readonly tokens?: JwtVerifier | undefined;
  /** The projects that tokens may name, with their limits. */
  readonly projects?: Pick<ProjectStore, 'list'>;
  readonly now?: () => number;
}

/** An authenticator over the keys of the environment and of the table. It follows the table until it is disposed of. */
export interface Keyring extends Authenticator, AsyncDisposable {
  /** Reads the table now. Never rejects: while Postgres cannot be reached, the last known keys stay valid. */
  refresh(): Promise<void>;
}

interface Known {
  readonly caller: Caller;
  readonly expiresMs: number;
}

/**
 * Opens the keyring. Keys of the table only apply when HOTLOOP_API_KEYS or an issuer of tokens is set; without
 * either, access is open.
 */
export async function openKeyring(
  store: Pick<ApiKeyStore, 'list'>,
  log: Log,
  { apiKeys, refreshMs = 2000, tokens, projects, now = Date.now }: KeyringOptions,
): Promise<Keyring> {
  const fixed = createAuthenticator(apiKeys);
  const required = fixed.required || tokens !== undefined;
  let known = new Map<string, Known>();
  const callers = new Map<string, Caller>();
  const quotas = new Map<string, ProjectQuota>();
  let knownProjects: ReadonlyMap<string, Project> | undefined;
  const inProjects = new WeakMap<Caller, Caller>();
  /** A token only says the name of its project; the limits are those of the table, shared with the project's keys. */
  const inProject = (caller: Caller): Caller => {
    const name = caller.project?.name;
    if (name === undefined) return caller;
    const limits = knownProjects?.get(name);
    if (knownProjects && !limits)
      throw new HotloopError('PERMISSION_DENIED', `there is no project ${name.slice(0, 80)}`, {
        reason: 'unknown_project',
      });
    if (!limits) return caller;
    const before = inProjects.get(caller);
    const isSame =
      before?.project?.maxModels === limits.maxModels && before?.project?.perSecond === limits.perSecond;
    if (before && isSame) return before;
    const bucket = quotaOf({ limits }, quotas, now);
    const made = { ...caller, project: limits, mayAsk: () => bucket()?.take(now()) ?? true };
    inProjects.set(caller, made);
    return made;
  };
  const callerOf = (record: ApiKeyRecord): Caller => {
    const projectBucket = quotaOf(record, quotas, now);
    const before = callers.get(record.id);
    const isSame = before?.project?.maxModels === record.limits?.maxModels;
    const caller = before && isSame ? before : newCaller(record, projectBucket, now);
    callers.set(record.id, caller);
    return caller;
  };
  const refresh = async () => {
    try {
      if (projects)
        knownProjects = new Map((await projects.list()).map((project) => [project.name, project]));
    } catch (error) {
      log.debug({ error }, 'projects cannot be read; the last known limits stay valid');
    }
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
      log.debug({ error }, 'API keys cannot be read; the last known keys stay valid');
    }
  };
  if (required) await refresh();
  const timer = required ? setInterval(() => void refresh(), refreshMs) : undefined;
  timer?.unref();
  return {
    required,
    authenticate(header: HeaderOf): Caller | Promise<Caller> {
      const key = required ? keyOf(header) : undefined;
      if (key !== undefined && tokens && isJwt(key)) {
        const caller = tokens.verify(key);
        return caller instanceof Promise ? caller.then(inProject) : inProject(caller);
      }
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

/** The token bucket that all keys of a project share, and the rate that it was created with. */
interface ProjectQuota {
  readonly perSecond: number | undefined;
  readonly bucket: TokenBucket | undefined;
}

/** A changed rate creates a new bucket, which the keys get at their next read. */
function quotaOf(
  { limits }: Pick<ApiKeyRecord, 'limits'>,
  quotas: Map<string, ProjectQuota>,
  now: () => number,
): () => TokenBucket | undefined {
  if (limits === undefined) return () => undefined;
  const { name, perSecond } = limits;
  if (!quotas.has(name) || quotas.get(name)?.perSecond !== perSecond)
    quotas.set(name, {
      perSecond,
      bucket: perSecond === undefined ? undefined : new TokenBucket(perSecond, now()),
    });
  return () => quotas.get(name)?.bucket;
}

/** The quota lives as long as the key: reading the table again does not refill it. */
function newCaller(
  { subject, roles, models, perSecond, limits }: ApiKeyRecord,
  projectBucket: () => TokenBucket | undefined,
  now: () => number,
): Caller {
  const own = perSecond === undefined ? undefined : new TokenBucket(perSecond, now());
  const named = models === undefined ? undefined : new Set(models);
  const scope: ModelScope | undefined = limits === undefined ? named : modelsOf(limits.name, named);
  const hasQuota = own !== undefined || limits !== undefined;
  return {
    subject,
    roles: new Set(roles),
    ...(scope === undefined ? {} : { models: scope }),
    ...(limits === undefined ? {} : { project: limits }),
    ...(hasQuota
      ? { mayAsk: () => (projectBucket()?.take(now()) ?? true) && (own?.take(now()) ?? true) }
      : {}),
  };
}

function unknown(key: string | undefined): never {
  throw new HotloopError(
    'UNAUTHENTICATED',
    key ? 'unknown API key' : 'send a token or an API key as "authorization: Bearer KEY"',
    { reason: key ? 'unknown_api_key' : 'missing_api_key' },
  );
}
