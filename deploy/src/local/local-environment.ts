import { deviceEnvironment } from '@hotloop/compute/runner/device-environment.ts';
import type { BackingAddresses } from '../backing/backing-services.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that are passed on to the services unchanged. */
const HANDED_ON = [
  'PATH',
  'TMPDIR',
  'HOTLOOP_API_KEYS',
  'HOTLOOP_OIDC_ISSUER',
  'HOTLOOP_OIDC_AUDIENCE',
  'HOTLOOP_OIDC_JWKS_URL',
  'HOTLOOP_OIDC_ROLES_CLAIM',
  'HOTLOOP_OIDC_MODELS_CLAIM',
  'HOTLOOP_OIDC_PROJECT_CLAIM',
  'HOTLOOP_TABLES_WATCH',
  'HOTLOOP_TLS_CERT',
  'HOTLOOP_TLS_KEY',
  'HOTLOOP_TLS_CA',
  'HOTLOOP_SESSION_SECRET',
  'HOTLOOP_LOG_LEVEL',
  'HOTLOOP_TRACE_RATIO',
  'HOTLOOP_EXECUTION_PROVIDERS',
  'HOTLOOP_MEMORY_BUDGET_MB',
  'HOTLOOP_JOURNAL_MAX_MB',
  'HOTLOOP_HANG_MS',
  'HOTLOOP_IDLE_UNLOAD_MS',
  'HOTLOOP_SQL_FILES',
  'HOTLOOP_SQL_TIMEOUT_MS',
  'HOTLOOP_SQL_MEMORY_MB',
  'HOTLOOP_BATCH_MEMORY_MB',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
] as const;

/** Addresses of databases that model.yaml and batches name: BOOKINGS_URL. */
const OUTSIDE_DATABASE = /^(?!HOTLOOP_|DATABASE_URL$|REDIS_)[A-Z][A-Z0-9_]*_URL$/;

/** Addresses of backing services that run elsewhere. */
export function backingAddresses(environment: Environment): BackingAddresses {
  const { DATABASE_URL, REDIS_CACHE_URL, REDIS_QUEUE_URL, KAFKA_BROKERS } = environment;
  return { DATABASE_URL, REDIS_CACHE_URL, REDIS_QUEUE_URL, KAFKA_BROKERS };
}

/** The variables that services inherit from the environment of `hotloop up`; they get no others. */
export function serviceEnvironment(environment: Environment): Record<string, string> {
  const handed: Record<string, string> = {};
  for (const name of HANDED_ON) {
    const value = environment[name];
    if (value !== undefined && value !== '') handed[name] = value;
  }
  for (const [name, value] of Object.entries(environment))
    if (OUTSIDE_DATABASE.test(name) && value) handed[name] = value;
  return { ...handed, ...deviceEnvironment(environment) };
}
