import { deviceEnvironment } from '@hotloop/compute/runner/device-environment.ts';
import { SERVICE_VARIABLES } from '@hotloop/platform/start-up/settings.ts';
import type { BackingAddresses } from '../backing/backing-services.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Settings that the local runner decides, or that mean something else to the command line in the same terminal. All other
 * settings of services are passed on unchanged, so a new one works with `hotloop up` as well.
 */
const DECIDED: ReadonlySet<string> = new Set([
  ...['DATABASE_URL', 'REDIS_CACHE_URL', 'REDIS_QUEUE_URL', 'KAFKA_BROKERS'],
  ...['HOTLOOP_STORE', 'HOTLOOP_DATA', 'HOTLOOP_NODE', 'HOTLOOP_DRAIN_MS', 'HOTLOOP_API_KEY'],
  ...['HOTLOOP_LISTEN', 'HOTLOOP_HTTP_LISTEN', 'HOTLOOP_SQL_LISTEN', 'HOTLOOP_SINGLE', 'HOTLOOP_SHARE_PORT'],
  ...['HOTLOOP_PREPROCESSOR', 'HOTLOOP_COMPUTE', 'HOTLOOP_POSTPROCESSOR', 'HOTLOOP_RETRAINER'],
  ...['HOTLOOP_CONTROL', 'HOTLOOP_FRONT_DOOR', 'HOTLOOP_INFERENCE_HTTP', 'HOTLOOP_CONSOLE'],
  ...['HOTLOOP_WORKER_EXIT_WHEN_IDLE', 'HOTLOOP_BATCH_WORK'],
]);
const HANDED_ON = ['PATH', 'TMPDIR', ...SERVICE_VARIABLES.filter((name) => !DECIDED.has(name))];

/** What model.yaml and batches name: addresses of databases (BOOKINGS_URL), secrets of webhooks (ALERTS_SECRET). */
const NAMED_BY_MODELS = /^(?!HOTLOOP_|DATABASE_URL$|REDIS_)[A-Z][A-Z0-9_]*_(URL|SECRET)$/;

/** How the SDK of S3 reaches buckets that batches, watched prefixes and SQL name. */
const OF_BUCKETS = /^AWS_[A-Z0-9_]+$/;

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
    if ((NAMED_BY_MODELS.test(name) || OF_BUCKETS.test(name)) && value) handed[name] = value;
  return { ...handed, ...deviceEnvironment(environment) };
}
