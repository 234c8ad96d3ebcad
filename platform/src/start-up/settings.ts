import { EXECUTION_PROVIDERS } from '@hotloop/model/manifest/runtime-schema.ts';
import {
  addressSchema,
  brokerListSchema,
  fractionSchema,
  millisecondsSchema,
  urlSchema,
  z,
} from '../config.ts';
import { LOG_LEVELS } from '../log.ts';

/** Less is not enough for even one small model, or a few segments of the journal. */
const LEAST_MB = 128;
const MOST_MB = 1024 ** 2;
const LEAST_HANG_MS = 100;

function megabytesSchema() {
  const wrong = 'must be whole megabytes';
  return z.coerce
    .number(wrong)
    .int(wrong)
    .min(LEAST_MB, `must be at least ${LEAST_MB}`)
    .max(MOST_MB, `must be at most ${MOST_MB}`);
}

/** Environment variables of every service. */
export const foundationSettings = {
  HOTLOOP_NODE: z.string().min(1).optional(),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
  HOTLOOP_API_KEYS: z.string().optional(),
  /**
   * Tokens (JWT) of this OpenID Connect issuer are accepted in addition to API keys, if they were issued for this
   * audience.
   */
  HOTLOOP_OIDC_ISSUER: urlSchema('http', 'https').optional(),
  HOTLOOP_OIDC_AUDIENCE: z.string().min(1).optional(),
  /** URL of the issuer's keys; default: from its OpenID configuration. */
  HOTLOOP_OIDC_JWKS_URL: urlSchema('http', 'https').optional(),
  HOTLOOP_OIDC_ROLES_CLAIM: z.string().min(1).default('roles'),
  HOTLOOP_OIDC_MODELS_CLAIM: z.string().min(1).default('hotloop_models'),
  /** The key for the services' own calls to each other. */
  HOTLOOP_API_KEY: z.string().optional(),
  /** PEM files: the certificate and key of this service, and the CA of its callers' certificates. */
  HOTLOOP_TLS_CERT: z.string().min(1).optional(),
  HOTLOOP_TLS_KEY: z.string().min(1).optional(),
  HOTLOOP_TLS_CA: z.string().min(1).optional(),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01),
  HOTLOOP_DRAIN_MS: millisecondsSchema().default(10_000),
  DATABASE_URL: urlSchema('postgres', 'postgresql'),
  /** Folder of this node for data that must outlive the process without Postgres. */
  HOTLOOP_DATA: z.string().min(1).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https').optional(),
} as const;

export const preprocessorSettings = {
  HOTLOOP_STORE: z.string().min(1),
  /** Folder in which events wait for the archive. Without it they are not archived. */
  HOTLOOP_DATA: z.string().min(1).optional(),
  /**
   * A folder or s3://BUCKET/PREFIX: changed files TABLE.csv, .jsonl or .parquet there become versions of reference
   * tables.
   */
  HOTLOOP_TABLES_WATCH: z.string().min(1).optional(),
  /** Topics with events of entities, comma-separated. */
  HOTLOOP_EVENT_TOPICS: z
    .string()
    .default('hotloop.events')
    .transform((text) => text.split(',').map((topic) => topic.trim()))
    .pipe(
      z.array(z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'must be names of topics, separated by commas')),
    ),
  REDIS_CACHE_URL: urlSchema('redis', 'rediss'),
  KAFKA_BROKERS: brokerListSchema().optional(),
} as const;

/** Addresses of the other services, for a preprocessor in its own process. */
export const peerSettings = {
  HOTLOOP_COMPUTE: z.string().default('127.0.0.1:8001'),
  HOTLOOP_POSTPROCESSOR: z.string().default('127.0.0.1:7402'),
  HOTLOOP_RETRAINER: z.string().default('127.0.0.1:7403'),
} as const;

export const computeSettings = {
  HOTLOOP_STORE: z.string().min(1),
  HOTLOOP_DATA: z.string().min(1),
  /** Comma-separated, in order of preference; for models whose manifest names none. */
  HOTLOOP_EXECUTION_PROVIDERS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(
      z.array(
        z.enum(EXECUTION_PROVIDERS, `must be of ${EXECUTION_PROVIDERS.join(', ')}, separated by commas`),
      ),
    )
    .optional(),
  /** Memory of all runners together; also the limit of one runner if its manifest sets none. */
  HOTLOOP_MEMORY_BUDGET_MB: megabytesSchema().optional(),
  /** Several computes of one machine listen for gRPC on the same HOTLOOP_LISTEN; each has its own HOTLOOP_HTTP_LISTEN. */
  HOTLOOP_SHARE_PORT: z.stringbool().default(false),
  /** Maximum size of log data on disk that waits to be shipped; predictions beyond it are rejected. */
  HOTLOOP_JOURNAL_MAX_MB: megabytesSchema().optional(),
  /** Milliseconds without a request after which a model is unloaded until the next request. 0: never. */
  HOTLOOP_IDLE_UNLOAD_MS: millisecondsSchema().optional(),
  /** A run that takes longer counts as hung, and its runner is killed. */
  HOTLOOP_HANG_MS: millisecondsSchema().min(LEAST_HANG_MS, `must be at least ${LEAST_HANG_MS}`).optional(),
} as const;

export const postprocessorSettings = {
  /** Where days of the decision log are archived before they are dropped; without it they are not archived. */
  HOTLOOP_STORE: z.string().min(1).optional(),
  HOTLOOP_DATA: z.string().min(1),
} as const;

/** Programs that may train instead of Hotloop; docs/trainers.md. */
export const externalTrainerSettings = {
  /** The folder with the programs that training.trainer may name. Without it none is run. */
  HOTLOOP_TRAINERS: z.string().optional(),
  /** The PATH of these programs. */
  HOTLOOP_TRAINERS_PATH: z.string().default('/usr/local/bin:/usr/bin:/bin'),
} as const;

export const retrainerSettings = {
  ...externalTrainerSettings,
  /** An MLflow tracking server to which finished runs are exported automatically. */
  HOTLOOP_MLFLOW_URL: urlSchema('http', 'https').optional(),
  /** elsewhere: training runs are left to workers, such as Jobs of a cluster. */
  HOTLOOP_TRAINING: z.enum(['here', 'elsewhere']).default('here'),
  /** Mail server for alarms by e-mail. */
  HOTLOOP_SMTP_URL: urlSchema('smtp', 'smtps').optional(),
  HOTLOOP_MAIL_FROM: z.string().min(3).default('hotloop@localhost'),
  HOTLOOP_STORE: z.string().min(1),
  /** A folder or s3://BUCKET/PREFIX: bundles that appear there are registered, and rolled out as they declare. */
  HOTLOOP_WATCH: z.string().min(1).optional(),
  /** The console's built files, if they are not in the default place. */
  HOTLOOP_CONSOLE: z.string().min(1).optional(),
  /** host:port of the HTTP endpoints of preprocessor and compute, for the console's first prediction. */
  HOTLOOP_FRONT_DOOR: z.string().min(1).optional(),
  HOTLOOP_INFERENCE_HTTP: z.string().min(1).optional(),
  /** With HOTLOOP_OIDC_ISSUER: users log in at the issuer through this client. */
  HOTLOOP_OIDC_CLIENT_ID: z.string().min(1).optional(),
  HOTLOOP_OIDC_CLIENT_SECRET: z.string().min(1).optional(),
  HOTLOOP_OIDC_SCOPE: z.string().min(1).default('openid profile'),
  /** Address of the console as browsers see it, if it is behind a proxy. */
  HOTLOOP_CONSOLE_URL: urlSchema('http', 'https').optional(),
  /**
   * Encrypts the console's sessions. Without it they end when the retrainer restarts; several retrainers must share
   * it.
   */
  HOTLOOP_SESSION_SECRET: z.string().min(32, 'must be at least 32 characters').optional(),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss'),
  KAFKA_BROKERS: brokerListSchema().optional(),
} as const;

/** A process that works on batch parts. */
export const workerSettings = {
  HOTLOOP_STORE: z.string().min(1),
  /**
   * The folder that file sources and sinks must be in. Without it any file may be used, or none if API keys are set.
   */
  HOTLOOP_BATCH_FILES: z.string().optional(),
  /**
   * host:port of the preprocessor's HTTP endpoint: it answers rows that need stored features, and rows that are
   * logged.
   */
  HOTLOOP_FRONT_DOOR: z.string().min(1).optional(),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss'),
  /** Memory for the rows of one part, beyond which they are spilled to disk. */
  HOTLOOP_BATCH_MEMORY_MB: megabytesSchema().default(512),
  /** Lease: how long a worker may be silent before another takes over its part. */
  HOTLOOP_BATCH_LEASE_MS: millisecondsSchema().min(500).default(15_000),
} as const;

/** A process that works on training runs. */
export const trainingWorkerSettings = {
  ...externalTrainerSettings,
  HOTLOOP_STORE: z.string().min(1),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss'),
  /** Ends the process when no run is waiting or running. */
  HOTLOOP_WORKER_EXIT_WHEN_IDLE: z.stringbool().default(false),
} as const;

/** The process that answers SQL over the Postgres protocol. */
export const sqlSettings = {
  HOTLOOP_STORE: z.string().min(1),
  HOTLOOP_SQL_LISTEN: addressSchema().default('127.0.0.1:7405'),
  /** A statement that takes longer is cancelled; a session may set a lower limit with SET statement_timeout. */
  HOTLOOP_SQL_TIMEOUT_MS: millisecondsSchema().default(60_000),
  HOTLOOP_SQL_MEMORY_MB: megabytesSchema().default(1024),
  /** A folder whose Parquet, CSV and JSON files statements may read and write. */
  HOTLOOP_SQL_FILES: z.string().optional(),
  /** host:port of the control API, for CREATE MODEL. */
  HOTLOOP_CONTROL: z.string().min(1).optional(),
} as const;

/** The two addresses of a service in its own process, with its default ports. */
export function listenSettings(port: number, httpPort: number) {
  return {
    HOTLOOP_LISTEN: addressSchema().default(`127.0.0.1:${port}`),
    HOTLOOP_HTTP_LISTEN: addressSchema().default(`127.0.0.1:${httpPort}`),
  };
}

export type Settings<Shape extends z.ZodRawShape> = Readonly<z.output<z.ZodObject<Shape>>>;
export type FoundationSettings = Settings<typeof foundationSettings>;
export type PreprocessorSettings = Settings<typeof preprocessorSettings>;
export type PeerSettings = Settings<typeof peerSettings>;
export type ComputeSettings = Settings<typeof computeSettings>;
export type PostprocessorSettings = Settings<typeof postprocessorSettings>;
export type RetrainerSettings = Settings<typeof retrainerSettings>;

/** Where a service listens. */
export interface Listen {
  /** gRPC: host:port; port 0 picks a free port. */
  readonly grpc: string;
  readonly http: string;
}

/** Where a service can be reached. */
export interface ServiceAddresses {
  readonly address: string;
  readonly httpAddress: string;
}

/** Every variable that any service reads; all services may share one environment. */
export const SERVICE_VARIABLES: readonly string[] = [
  ...new Set([
    ...Object.keys(foundationSettings),
    ...Object.keys(preprocessorSettings),
    ...Object.keys(peerSettings),
    ...Object.keys(computeSettings),
    ...Object.keys(postprocessorSettings),
    ...Object.keys(retrainerSettings),
    ...Object.keys(workerSettings),
    ...Object.keys(trainingWorkerSettings),
    ...Object.keys(sqlSettings),
    ...Object.keys(listenSettings(0, 0)),
    'HOTLOOP_SINGLE',
    'HOTLOOP_PREPROCESSOR',
    'HOTLOOP_CONTROL',
    'HOTLOOP_FRONT_DOOR',
  ]),
];
