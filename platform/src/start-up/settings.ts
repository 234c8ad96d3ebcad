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
  HOTLOOP_NODE: z
    .string()
    .min(1)
    .optional()
    .describe('Name of this process, unique among the copies of a service.'),
  HOTLOOP_LOG_LEVEL: z.enum(LOG_LEVELS).default('info').describe('Least severe level that is logged.'),
  HOTLOOP_API_KEYS: z
    .string()
    .optional()
    .describe(
      'Keys that callers may use: KEY:SUBJECT:ROLE+ROLE, comma-separated. Without it only loopback is served, and everything is allowed.',
    ),
  HOTLOOP_OIDC_ISSUER: urlSchema('http', 'https')
    .optional()
    .describe(
      'Tokens (JWT) of this OpenID Connect issuer are accepted in addition to API keys, if they were issued for the audience below.',
    ),
  HOTLOOP_OIDC_AUDIENCE: z.string().min(1).optional().describe('The audience of accepted tokens.'),
  HOTLOOP_OIDC_JWKS_URL: urlSchema('http', 'https')
    .optional()
    .describe("URL of the issuer's keys; default: from its OpenID configuration."),
  HOTLOOP_OIDC_ROLES_CLAIM: z.string().min(1).default('roles').describe('Claim of a token that lists roles.'),
  HOTLOOP_OIDC_MODELS_CLAIM: z
    .string()
    .min(1)
    .default('hotloop_models')
    .describe('Claim of a token that lists the models that it may use.'),
  HOTLOOP_OIDC_PROJECT_CLAIM: z
    .string()
    .min(1)
    .default('hotloop_project')
    .describe('Claim of a token that names the project that it belongs to.'),
  HOTLOOP_API_KEY: z.string().optional().describe("The key for the services' own calls to each other."),
  HOTLOOP_TLS_CERT: z
    .string()
    .min(1)
    .optional()
    .describe('PEM file: certificate of this service, with intermediate ones.'),
  HOTLOOP_TLS_KEY: z.string().min(1).optional().describe('PEM file: key of the certificate.'),
  HOTLOOP_TLS_CA: z
    .string()
    .min(1)
    .optional()
    .describe("PEM file: the CA of callers' certificates; with it every caller must show one."),
  HOTLOOP_TRACE_RATIO: fractionSchema().default(0.01).describe('Share of predictions that are traced.'),
  HOTLOOP_DRAIN_MS: millisecondsSchema()
    .default(10_000)
    .describe('How long a service that shuts down waits for work in flight.'),
  DATABASE_URL: urlSchema('postgres', 'postgresql').describe('Postgres.'),
  HOTLOOP_DATA: z
    .string()
    .min(1)
    .optional()
    .describe('Folder of this node for data that must outlive the process without Postgres.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlSchema('http', 'https')
    .optional()
    .describe('Where traces are sent; without it nowhere.'),
} as const;

export const preprocessorSettings = {
  HOTLOOP_STORE: z.string().min(1).describe('The model store: a folder or s3://BUCKET/PREFIX.'),
  HOTLOOP_DATA: z
    .string()
    .min(1)
    .optional()
    .describe('Folder in which events wait for the archive. Without it they are not archived.'),
  HOTLOOP_TABLES_WATCH: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A folder or s3://BUCKET/PREFIX: changed files TABLE.csv, .jsonl or .parquet there become versions of reference tables.',
    ),
  HOTLOOP_EVENT_TOPICS: z
    .string()
    .default('hotloop.events')
    .transform((text) => text.split(',').map((topic) => topic.trim()))
    .pipe(
      z.array(z.string().regex(/^[A-Za-z0-9._-]{1,249}$/, 'must be names of topics, separated by commas')),
    )
    .describe('Topics with events of entities, comma-separated.'),
  REDIS_CACHE_URL: urlSchema('redis', 'rediss').describe(
    'Redis for history and reference tables; its content may be lost.',
  ),
  KAFKA_BROKERS: brokerListSchema()
    .optional()
    .describe('host:port of Kafka brokers, comma-separated; without it no topic is read.'),
} as const;

/** Addresses of the other services, for a preprocessor in its own process. */
export const peerSettings = {
  HOTLOOP_COMPUTE: z.string().default('127.0.0.1:8001').describe('host:port of compute.'),
  HOTLOOP_POSTPROCESSOR: z.string().default('127.0.0.1:7402').describe('host:port of the postprocessor.'),
  HOTLOOP_RETRAINER: z.string().default('127.0.0.1:7403').describe('host:port of the retrainer.'),
} as const;

export const computeSettings = {
  HOTLOOP_STORE: z.string().min(1).describe('The model store: a folder or s3://BUCKET/PREFIX.'),
  HOTLOOP_DATA: z.string().min(1).describe('Folder of this node for the journal of the prediction log.'),
  HOTLOOP_EXECUTION_PROVIDERS: z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .pipe(
      z.array(
        z.enum(EXECUTION_PROVIDERS, `must be of ${EXECUTION_PROVIDERS.join(', ')}, separated by commas`),
      ),
    )
    .optional()
    .describe(
      'cpu, cuda, tensorrt or webgpu, comma-separated, in order of preference; for models whose manifest names none. Default cpu.',
    ),
  HOTLOOP_MEMORY_BUDGET_MB: megabytesSchema()
    .optional()
    .describe(
      'Memory of all runners together; also the limit of one runner if its manifest sets none. Default: 70 % of what the process may use.',
    ),
  HOTLOOP_SHARE_PORT: z
    .stringbool()
    .default(false)
    .describe(
      'true: several computes of one machine listen for gRPC on the same HOTLOOP_LISTEN; each has its own HOTLOOP_HTTP_LISTEN.',
    ),
  HOTLOOP_JOURNAL_MAX_MB: megabytesSchema()
    .optional()
    .describe(
      'Maximum size of log data on disk that waits to be shipped; predictions beyond it are refused with RESOURCE_EXHAUSTED `log_full`. Default 4096.',
    ),
  HOTLOOP_IDLE_UNLOAD_MS: millisecondsSchema()
    .optional()
    .describe(
      'Time without a request after which a model is unloaded until the next request; 0: never. Default 3600000.',
    ),
  HOTLOOP_HANG_MS: millisecondsSchema()
    .min(LEAST_HANG_MS, `must be at least ${LEAST_HANG_MS}`)
    .optional()
    .describe('A run that takes longer counts as hung, and its runner is killed. Default 30000.'),
} as const;

export const postprocessorSettings = {
  HOTLOOP_STORE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Where days of the decision log are archived before they are dropped; without it they are not archived.',
    ),
  HOTLOOP_DATA: z.string().min(1).describe('Folder of this node for the journal of the decision log.'),
} as const;

/** Programs that may train instead of Hotloop; docs/trainers.md. */
export const externalTrainerSettings = {
  HOTLOOP_TRAINERS: z
    .string()
    .optional()
    .describe('The folder with the programs that training.trainer may name. Without it none is run.'),
  HOTLOOP_TRAINERS_PATH: z
    .string()
    .default('/usr/local/bin:/usr/bin:/bin')
    .describe('The PATH of these programs.'),
} as const;

export const retrainerSettings = {
  ...externalTrainerSettings,
  HOTLOOP_MLFLOW_URL: urlSchema('http', 'https')
    .optional()
    .describe('An MLflow tracking server to which finished runs are exported automatically.'),
  HOTLOOP_TRAINING: z
    .enum(['here', 'elsewhere'])
    .default('here')
    .describe('elsewhere: training runs are left to workers, such as Jobs of a cluster.'),
  HOTLOOP_MONITORING: z
    .enum(['here', 'elsewhere'])
    .default('here')
    .describe('elsewhere: models are watched by another retrainer.'),
  HOTLOOP_SMTP_URL: urlSchema('smtp', 'smtps').optional().describe('Mail server for alarms by e-mail.'),
  HOTLOOP_MAIL_FROM: z.string().min(3).default('hotloop@localhost').describe('Sender of these mails.'),
  HOTLOOP_STORE: z.string().min(1).describe('The model store: a folder or s3://BUCKET/PREFIX.'),
  HOTLOOP_WATCH: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A folder or s3://BUCKET/PREFIX: bundles that appear there are registered, and rolled out as they declare.',
    ),
  HOTLOOP_CONSOLE: z
    .string()
    .min(1)
    .optional()
    .describe("The console's built files, if they are not in the default place."),
  HOTLOOP_FRONT_DOOR: z
    .string()
    .min(1)
    .optional()
    .describe("host:port of the preprocessor's HTTP endpoint, for the console's first prediction."),
  HOTLOOP_INFERENCE_HTTP: z
    .string()
    .min(1)
    .optional()
    .describe("host:port of compute's HTTP endpoint, for the console's first prediction."),
  HOTLOOP_OIDC_CLIENT_ID: z
    .string()
    .min(1)
    .optional()
    .describe('With HOTLOOP_OIDC_ISSUER: users log in to the console at the issuer through this client.'),
  HOTLOOP_OIDC_CLIENT_SECRET: z.string().min(1).optional().describe('Secret of that client.'),
  HOTLOOP_OIDC_SCOPE: z.string().min(1).default('openid profile').describe('Scope of the login.'),
  HOTLOOP_CONSOLE_URL: urlSchema('http', 'https')
    .optional()
    .describe(
      'Address of the console as browsers see it: for logins behind a proxy, and for links in alarms.',
    ),
  HOTLOOP_SESSION_SECRET: z
    .string()
    .min(32, 'must be at least 32 characters')
    .optional()
    .describe(
      "Encrypts the console's sessions. Without it they end when the retrainer restarts; several retrainers must share it.",
    ),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss').describe(
    'Redis for queues, with maxmemory-policy noeviction.',
  ),
  KAFKA_BROKERS: brokerListSchema()
    .optional()
    .describe('host:port of Kafka brokers, comma-separated; without it no topic is read.'),
} as const;

/** A process that works on batch parts. */
export const workerSettings = {
  HOTLOOP_STORE: z.string().min(1).describe('The model store: a folder or s3://BUCKET/PREFIX.'),
  HOTLOOP_BATCH_FILES: z
    .string()
    .optional()
    .describe(
      'The folder that file sources and sinks must be in. Without it any file may be used, or none if API keys are set.',
    ),
  HOTLOOP_FRONT_DOOR: z
    .string()
    .min(1)
    .optional()
    .describe(
      "host:port of the preprocessor's HTTP endpoint: it answers rows that need stored features, and rows that are logged.",
    ),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss').describe(
    'Redis for queues, with maxmemory-policy noeviction.',
  ),
  KAFKA_BROKERS: brokerListSchema()
    .optional()
    .describe('Kafka brokers, for sources and sinks that are topics.'),
  HOTLOOP_BATCH_WORK: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A folder that all batch workers share, for parts and copies of sources. Default: in the model store where that is a folder; where it is a bucket, a folder of the machine, which is enough for one worker.',
    ),
  HOTLOOP_BATCH_MEMORY_MB: megabytesSchema()
    .default(512)
    .describe('Memory for the rows of one part, beyond which they are spilled to disk.'),
  HOTLOOP_BATCH_LEASE_MS: millisecondsSchema()
    .min(500)
    .default(15_000)
    .describe('Lease: how long a worker may be silent before another takes over its part.'),
} as const;

/** A process that works on training runs. */
export const trainingWorkerSettings = {
  ...externalTrainerSettings,
  HOTLOOP_STORE: z.string().min(1).describe('The model store: a folder or s3://BUCKET/PREFIX.'),
  REDIS_QUEUE_URL: urlSchema('redis', 'rediss').describe(
    'Redis for queues, with maxmemory-policy noeviction.',
  ),
  HOTLOOP_WORKER_EXIT_WHEN_IDLE: z
    .stringbool()
    .default(false)
    .describe('Ends the process when no run is waiting or running.'),
} as const;

/** The process that answers SQL over the Postgres protocol. */
export const sqlSettings = {
  HOTLOOP_STORE: z.string().min(1).describe('The model store: a folder or s3://BUCKET/PREFIX.'),
  HOTLOOP_SQL_LISTEN: addressSchema()
    .default('127.0.0.1:7405')
    .describe('host:port of the Postgres protocol.'),
  HOTLOOP_SQL_TIMEOUT_MS: millisecondsSchema()
    .default(60_000)
    .describe(
      'A statement that takes longer is cancelled; a session may set a lower limit with SET statement_timeout.',
    ),
  HOTLOOP_SQL_MEMORY_MB: megabytesSchema().default(1024).describe('Memory of the SQL engine.'),
  HOTLOOP_SQL_FILES: z
    .string()
    .optional()
    .describe('A folder whose Parquet, CSV and JSON files statements may read and write.'),
  HOTLOOP_CONTROL: z.string().min(1).optional().describe('host:port of the control API, for CREATE MODEL.'),
} as const;

/** The two addresses of a service in its own process, with its default ports. */
export function listenSettings(port: number, httpPort: number) {
  return {
    HOTLOOP_LISTEN: addressSchema()
      .default(`127.0.0.1:${port}`)
      .describe('host:port of gRPC; beyond loopback API keys are required.'),
    HOTLOOP_HTTP_LISTEN: addressSchema().default(`127.0.0.1:${httpPort}`).describe('host:port of HTTP.'),
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
