import { join } from 'node:path';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { ApiKeyStore } from '../auth/api-key-store.ts';
import type { Authenticator } from '../auth/authorization.ts';
import { createJwtVerifier, type JwtVerifier } from '../auth/jwt-verifier.ts';
import { keptKeys } from '../auth/kept-keys.ts';
import { openKeyring } from '../auth/keyring.ts';
import { ProjectStore } from '../auth/project-store.ts';
import { Closing } from '../closing.ts';
import { createLog, type Log } from '../log.ts';
import { migrate } from '../postgres/migrate.ts';
import { migrateWhenBack } from '../postgres/migrate-when-back.ts';
import { openPool, type Pool } from '../postgres/pool.ts';
import { openRegistry } from '../registry/postgres-registry.ts';
import type { RegistryReader } from '../registry/snapshot.ts';
import { type SnapshotFile, snapshotFile } from '../registry/snapshot-file.ts';
import { type Metrics, openMetrics } from '../telemetry/metrics.ts';
import { startProcessTracing, type Tracing } from '../telemetry/tracing.ts';
import { TlsIdentity } from '../tls/tls-identity.ts';
import type { FoundationSettings } from './settings.ts';

/** What all services of a process share. Opened once, closed last, by `closing`. */
export interface Foundation {
  /** Name of this node, in the log and on its rows. */
  readonly node: string;
  readonly log: Log;
  readonly closing: Closing;
  readonly tracing: Tracing;
  readonly metrics: Metrics;
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly authenticator: Authenticator;
  /** The certificate of this process; undefined if connections are not encrypted. */
  readonly tls: TlsIdentity | undefined;
  /** The key for the services' own calls to each other, if keys are used. */
  readonly apiKey: string | undefined;
  readonly databaseUrl: string;
  /** The issuer of OpenID Connect tokens, if they are accepted. */
  readonly issuer: string | undefined;
  readonly drainMs: number;
}

export interface FoundationOptions {
  /** Name of the service, or of the process when it contains several. */
  readonly service: string;
  readonly maxConnections: number;
  readonly queryTimeoutMs: number;
}

/** How long a node that can serve from disk waits for Postgres when it starts. */
const PATIENCE_MS = 3_000;

/**
 * Opens the dependencies of a service: tracing, metrics, the migrated database, the registry. While Postgres cannot
 * be reached, a node with a data folder (HOTLOOP_DATA) opens with the registry and the keys that it read last.
 * Rejects UNAVAILABLE when there is neither; everything that was opened is closed then.
 */
export async function openFoundation(
  settings: FoundationSettings,
  { service, maxConnections, queryTimeoutMs }: FoundationOptions,
): Promise<Foundation> {
  const log = createLog({ service, level: settings.HOTLOOP_LOG_LEVEL });
  const closing = new Closing(log);
  const databaseUrl = settings.DATABASE_URL;
  try {
    const tls = await openTls(settings, log);
    closing.defer('TLS files', () => tls?.[Symbol.dispose]());
    const metrics = closing.use('metrics', openMetrics(service));
    const tracing = closing.use(
      'tracing',
      await startProcessTracing({
        service,
        endpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT,
        sampleRatio: settings.HOTLOOP_TRACE_RATIO,
      }),
    );
    const node = settings.HOTLOOP_NODE ?? service;
    const kept = (what: string) =>
      settings.HOTLOOP_DATA === undefined
        ? undefined
        : snapshotFile(join(settings.HOTLOOP_DATA, `${what}-${encodeURIComponent(node)}.json`), log);
    const file = kept('registry');
    await migrateOrGoOn(databaseUrl, file, closing, log);
    const pool = closing.use(
      'Postgres',
      openPool(databaseUrl, { max: maxConnections, queryTimeoutMs, application: service, log }),
    );
    const registry = closing.use('registry', await openRegistry(pool, databaseUrl, log, { file }));
    const [keyStore, keyFile] = [new ApiKeyStore(pool), kept('keys')];
    const authenticator = closing.use(
      'API keys',
      await openKeyring(keyFile ? keptKeys(keyStore, keyFile) : keyStore, log, {
        apiKeys: settings.HOTLOOP_API_KEYS,
        tokens: tokensOf(settings),
        projects: new ProjectStore(pool),
      }),
    );
    return {
      node,
      log,
      closing,
      tracing,
      metrics,
      pool,
      registry,
      authenticator,
      tls,
      apiKey: settings.HOTLOOP_API_KEY,
      databaseUrl,
      issuer: settings.HOTLOOP_OIDC_ISSUER,
      drainMs: settings.HOTLOOP_DRAIN_MS,
    };
  } catch (error) {
    await closing.close(5000);
    throw error;
  }
}

/**
 * With a registry on disk, waits only briefly for a database that cannot be reached, and migrates it when it is back.
 */
async function migrateOrGoOn(
  databaseUrl: string,
  file: SnapshotFile | undefined,
  closing: Closing,
  log: Log,
): Promise<void> {
  if (file === undefined || (await file.read()) === null) return void (await migrate(databaseUrl, { log }));
  try {
    await migrate(databaseUrl, { log, timeoutMs: PATIENCE_MS });
  } catch (error) {
    const { code } = toHotloopError(error);
    if (code !== 'UNAVAILABLE' && code !== 'DEADLINE_EXCEEDED') throw error;
    closing.use('migration', migrateWhenBack(databaseUrl, log));
  }
}

/** Throws INVALID_ARGUMENT for a certificate without its key, or a key without its certificate. */
async function openTls(settings: FoundationSettings, log: Log): Promise<TlsIdentity | undefined> {
  const { HOTLOOP_TLS_CERT: certificate, HOTLOOP_TLS_KEY: key, HOTLOOP_TLS_CA: ca } = settings;
  if (certificate === undefined && key === undefined && ca === undefined) return undefined;
  if (certificate === undefined || key === undefined)
    throw new HotloopError('INVALID_ARGUMENT', 'set HOTLOOP_TLS_CERT and HOTLOOP_TLS_KEY together', {
      reason: 'invalid_configuration',
    });
  return TlsIdentity.open({ certificate, key, ca }, log);
}

/**
 * Throws INVALID_ARGUMENT for an issuer without an audience: a token that was issued for another service must not be
 * valid here.
 */
function tokensOf(settings: FoundationSettings): JwtVerifier | undefined {
  const { HOTLOOP_OIDC_ISSUER: issuer, HOTLOOP_OIDC_AUDIENCE: audience } = settings;
  if (issuer === undefined) return undefined;
  if (audience === undefined)
    throw new HotloopError('INVALID_ARGUMENT', 'set HOTLOOP_OIDC_AUDIENCE with HOTLOOP_OIDC_ISSUER', {
      reason: 'invalid_configuration',
    });
  return createJwtVerifier({
    ...{ issuer, audience },
    jwksUrl: settings.HOTLOOP_OIDC_JWKS_URL,
    rolesClaim: settings.HOTLOOP_OIDC_ROLES_CLAIM,
    modelsClaim: settings.HOTLOOP_OIDC_MODELS_CLAIM,
    projectClaim: settings.HOTLOOP_OIDC_PROJECT_CLAIM,
  });
}
