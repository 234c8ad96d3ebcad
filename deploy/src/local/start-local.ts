import { readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import type { ServiceAddresses } from '@hotloop/platform/start-up/settings.ts';
import { archiveFolders } from '../archive/archive-layout.ts';
import { keepArchive } from '../archive/keep-archive.ts';
import {
  type BackingAddresses,
  type BackingServices,
  startBackingServices,
} from '../backing/backing-services.ts';
import { claimFolder } from '../backing/folder-claim.ts';
import { endRecordedProcess } from '../backing/process-record.ts';
import { startWatchdog } from '../backing/watchdog.ts';
import {
  formatSingleListen,
  SERVICE_NAMES,
  type ServiceName,
  type SingleListen,
} from '../single/single-listen.ts';
import { buildConsole } from './build-console.ts';
import { dialAddress, freeAddress, knownAddress, type PortWish } from './free-address.ts';
import { withInternalKey } from './internal-key.ts';
import { LocalError } from './local-error.ts';
import type { ReadyLine } from './service-child.ts';
import { openServiceLog } from './service-log.ts';
import { type ServiceEvent, type SupervisedService, superviseService } from './supervised-service.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const DRAIN_MS = 5_000;
const STOP_TIMEOUT_MS = 10_000;

/** The ports of each service. */
export type LocalPorts = Readonly<Record<ServiceName, { readonly grpc: PortWish; readonly http: PortWish }>>;

/** Free ports everywhere, for demos, benchmarks and tests. */
export const ANY_PORTS: LocalPorts = {
  preprocessor: { grpc: 'any', http: 'any' },
  compute: { grpc: 'any', http: 'any' },
  postprocessor: { grpc: 'any', http: 'any' },
  retrainer: { grpc: 'any', http: 'any' },
};

export interface LocalOptions {
  /** All persistent data: databases, models, journals, logs. One running Hotloop at a time. */
  readonly dir: string;
  /** Contains unpacked system packages; shared and safe to delete. */
  readonly cacheDir: string;
  /** Deletes what an earlier run left in `dir`. */
  readonly fresh: boolean;
  /** All four services in one process. */
  readonly single: boolean;
  readonly ports: LocalPorts;
  /** Host on which the services that clients call listen; default 127.0.0.1. Other hosts need HOTLOOP_API_KEYS. */
  readonly host?: string;
  /** Builds the console when its sources are newer than the build. */
  readonly console?: boolean;
  /** host:port for SQL; if set, a batch worker and SQL run in addition to the services. */
  readonly sqlListen?: string;
  /** Backing services that run elsewhere. */
  readonly addresses: BackingAddresses;
  readonly postgresSettings?: Readonly<Record<string, string>>;
  /** A folder for what `hotloop restore --at` needs; only the embedded Postgres can be archived. */
  readonly archive?: string | undefined;
  /** Additional variables for the services, such as HOTLOOP_API_KEYS. */
  readonly environment: Readonly<Record<string, string>>;
  /** Prints one line of information for the user. */
  readonly say: (line: string) => void;
  readonly onEvent?: (event: ServiceEvent) => void;
}

/** The whole platform on this machine. Disposing stops it: the preprocessor first, the databases last. */
export interface Local extends AsyncDisposable {
  /** gRPC address of each service. */
  readonly addresses: Readonly<Record<ServiceName, string>>;
  /** HTTP address of each service. */
  readonly httpAddresses: Readonly<Record<ServiceName, string>>;
  /** Address for SQL; absent if it was not requested or did not start. */
  readonly sqlAddress?: string;
  readonly backing: Readonly<Omit<BackingServices, keyof AsyncDisposable>>;
  readonly logFolder: string;
  /** Process ids of the services that are running now. */
  pids(): readonly number[];
  /** Current process id of one service; of the only process when all are in it. */
  pidOf(service: ServiceName | 'batch-worker' | 'sql'): number | undefined;
}

/**
 * Starts backing services, migrates the database, starts the services and waits until each serves. Throws
 * ALREADY_RUNNING when another process uses the folder, SERVICE_FAILED with the last lines of a service that did not
 * start, or the signal's reason; everything that was started is stopped then.
 */
export async function startLocal(given: LocalOptions, signal: AbortSignal): Promise<Local> {
  const options = { ...given, environment: withInternalKey(given.environment) };
  const dir = resolve(options.dir);
  await using opened = new AsyncDisposableStack();
  opened.use(await claimFolder(dir));
  if (options.fresh) await forget(dir);
  const building = options.console === true ? buildConsole(ROOT, options.say, signal) : undefined;
  const { archive } = options;
  if (archive !== undefined && options.addresses.DATABASE_URL)
    throw new LocalError(
      'SERVICE_FAILED',
      'only the embedded Postgres can be archived: leave out DATABASE_URL, or --archive',
    );
  options.say('starting Postgres, Redis and Kafka');
  const backing = opened.use(
    await startBackingServices(
      {
        dir: join(dir, 'backing'),
        cacheDir: options.cacheDir,
        addresses: options.addresses,
        postgresSettings: options.postgresSettings,
        walFolder: archive && archiveFolders(archive).wal,
        log: options.say,
      },
      signal,
    ),
  );
  await migrate(backing.databaseUrl, { log: createLog({ service: 'migrate', level: 'error' }) });
  signal.throwIfAborted();
  options.say(`starting ${options.single ? 'the four services in one process' : 'the four services'}`);
  const services = await startServices({ options, dir, backing, opened }, signal);
  await building;
  // For commands of the same user that work directly on the stores; it contains passwords.
  const environmentFile = join(dir, 'environment.json');
  const { DATABASE_URL, REDIS_CACHE_URL, REDIS_QUEUE_URL, KAFKA_BROKERS, HOTLOOP_STORE } = sharedEnvironment({
    options,
    dir,
    backing,
    opened,
  });
  const stores = { DATABASE_URL, REDIS_CACHE_URL, REDIS_QUEUE_URL, KAFKA_BROKERS, HOTLOOP_STORE };
  await writeFile(environmentFile, JSON.stringify(stores), { mode: 0o600 });
  if (archive !== undefined)
    opened.use(
      keepArchive({
        ...{ archive, databaseUrl: backing.databaseUrl, store: HOTLOOP_STORE ?? '', say: options.say },
        postgresFolder: join(dir, 'backing', 'postgres'),
      }),
    );
  opened.defer(() => rm(environmentFile, { force: true }));
  const stack = opened.move();
  let stopped: Promise<void> | undefined;
  return {
    addresses: pick(services.addresses, 'address'),
    httpAddresses: pick(services.addresses, 'httpAddress'),
    ...sqlAddressOf(services.running),
    backing,
    logFolder: join(dir, 'logs'),
    pids: () => services.running.flatMap((service) => service.pid ?? []),
    pidOf: (name) =>
      services.running.find(
        (service) => service.name === name || (options.single && service.name === 'hotloop'),
      )?.pid,
    [Symbol.asyncDispose]: () => {
      stopped ??= stack.disposeAsync();
      return stopped;
    },
  };
}

function sqlAddressOf(running: readonly SupervisedService[]): Pick<Local, 'sqlAddress'> {
  const sql = running.find(({ name }) => name === 'sql');
  return sql ? { sqlAddress: sql.ready.address } : {};
}

interface StartedServices {
  readonly addresses: Readonly<Record<ServiceName, ServiceAddresses>>;
  readonly running: readonly SupervisedService[];
}

interface StartContext {
  readonly options: LocalOptions;
  readonly dir: string;
  readonly backing: BackingServices;
  readonly opened: AsyncDisposableStack;
}

async function startServices(context: StartContext, signal: AbortSignal): Promise<StartedServices> {
  const { options, dir, opened } = context;
  const watchdog = opened.use(startWatchdog());
  const running: SupervisedService[] = [];
  const isTold = options.console === true || options.sqlListen !== undefined;
  const addresses = await freeAddresses(options.ports, options.host, isTold);
  const start = async (name: string, script: string, listen: Record<string, string>) => {
    const log = opened.use(await openServiceLog(join(dir, 'logs', `${name}.log`)));
    const recordFile = join(dir, `${name}.process.json`);
    await endRecordedProcess(recordFile, 'SIGTERM');
    const shared = {
      ...sharedEnvironment(context),
      HOTLOOP_NODE: `${name}-local`,
      HOTLOOP_FRONT_DOOR: dialAddress(addresses.preprocessor.http),
      HOTLOOP_INFERENCE_HTTP: dialAddress(addresses.compute.http),
      HOTLOOP_CONTROL: dialAddress(addresses.retrainer.http),
    };
    const service = await superviseService(
      {
        name,
        script: join(ROOT, script),
        cwd: ROOT,
        recordFile,
        log,
        watchdog,
        onEvent: options.onEvent ?? (() => undefined),
        env: (first) => ({ ...shared, ...listen, ...(first ? listenAgain(first, listen) : {}) }),
      },
      signal,
    );
    running.push(service);
    return service;
  };
  const beside = async (name: string, script: string, more: Record<string, string>) => {
    // Serving does not depend on these, so a failed start is only reported.
    const service = await start(name, script, more).catch((error: unknown) => {
      signal.throwIfAborted();
      options.say(`${name} could not be started: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    });
    if (service) opened.defer(() => service.stop(STOP_TIMEOUT_MS));
  };
  const startBeside = async () => {
    if (options.sqlListen === undefined) return;
    await Promise.all([
      beside('batch-worker', 'retrainer/src/batch/worker-main.ts', {}),
      beside('sql', 'retrainer/src/sql/sql-main.ts', { HOTLOOP_SQL_LISTEN: options.sqlListen }),
    ]);
  };
  const stop = (service: SupervisedService) => service.stop(STOP_TIMEOUT_MS);
  if (options.single) {
    const service = await start('hotloop', 'deploy/src/single/main.ts', {
      HOTLOOP_SINGLE: formatSingleListen(addresses),
    });
    opened.defer(() => stop(service));
    await startBeside();
    return { running, addresses: service.ready.services as StartedServices['addresses'] };
  }
  const own = (name: ServiceName, more: Record<string, string> = {}) =>
    start(name, `${name}/src/main.ts`, {
      HOTLOOP_LISTEN: addresses[name].grpc,
      HOTLOOP_HTTP_LISTEN: addresses[name].http,
      ...more,
    });
  // Services without dependencies start concurrently; a failure cancels the others through the common signal.
  const first = [own('retrainer'), own('postprocessor'), own('compute')] as const;
  const settled = await Promise.allSettled(first);
  for (const one of settled) if (one.status === 'fulfilled') opened.defer(() => stop(one.value));
  const [retrainer, postprocessor, compute] = await Promise.all(first);
  const preprocessor = await own('preprocessor', {
    HOTLOOP_COMPUTE: dialAddress(compute.ready.address),
    HOTLOOP_POSTPROCESSOR: dialAddress(postprocessor.ready.address),
    HOTLOOP_RETRAINER: dialAddress(retrainer.ready.address),
  });
  opened.defer(() => stop(preprocessor));
  await startBeside();
  return {
    running,
    addresses: {
      preprocessor: preprocessor.ready,
      compute: compute.ready,
      postprocessor: postprocessor.ready,
      retrainer: retrainer.ready,
    },
  };
}

/**
 * Chooses the addresses to listen at. Clients call all services except the postprocessor, which stays on the
 * loopback address. `known`: fixes the HTTP ports now, because the console, batch workers and SQL need the
 * addresses before the services start.
 */
async function freeAddresses(
  ports: LocalPorts,
  host: string | undefined,
  known: boolean,
): Promise<SingleListen> {
  const found = await Promise.all(
    SERVICE_NAMES.map(async (name) => {
      const where = name === 'postprocessor' ? undefined : host;
      const [grpc, http] = await Promise.all([
        freeAddress(ports[name].grpc, name, where),
        freeAddress(ports[name].http, `${name} (HTTP)`, where),
      ]);
      return [name, { grpc, http: known ? await knownAddress(http) : http }] as const;
    }),
  );
  return Object.fromEntries(found) as unknown as SingleListen;
}

function pick(
  addresses: StartedServices['addresses'],
  which: keyof ServiceAddresses,
): Readonly<Record<ServiceName, string>> {
  const { preprocessor, compute, postprocessor, retrainer } = addresses;
  return {
    preprocessor: preprocessor[which],
    compute: compute[which],
    postprocessor: postprocessor[which],
    retrainer: retrainer[which],
  };
}

function sharedEnvironment({ options, dir, backing }: StartContext): Record<string, string> {
  return {
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    ...options.environment,
    // Halves the start-up time of each later start of a service.
    NODE_COMPILE_CACHE: join(options.cacheDir, 'compiled'),
    DATABASE_URL: backing.databaseUrl,
    REDIS_CACHE_URL: backing.redisCacheUrl,
    REDIS_QUEUE_URL: backing.redisQueueUrl,
    KAFKA_BROKERS: backing.kafkaBrokers,
    HOTLOOP_STORE: join(dir, 'store'),
    HOTLOOP_DATA: join(dir, 'journals'),
    HOTLOOP_DRAIN_MS: String(DRAIN_MS),
  };
}

/** After a crash a service listens at the same address, where the others expect it. */
function listenAgain(first: ReadyLine, listen: Record<string, string>): Record<string, string> {
  if (!('HOTLOOP_SINGLE' in listen))
    return first.httpAddress === ''
      ? {}
      : { HOTLOOP_LISTEN: first.address, HOTLOOP_HTTP_LISTEN: first.httpAddress };
  const services = first.services as StartedServices['addresses'];
  const bound = (name: ServiceName) => ({ grpc: services[name].address, http: services[name].httpAddress });
  return {
    HOTLOOP_SINGLE: formatSingleListen({
      preprocessor: bound('preprocessor'),
      compute: bound('compute'),
      postprocessor: bound('postprocessor'),
      retrainer: bound('retrainer'),
    }),
  };
}

/** Ends processes that an earlier, killed run left behind, then removes its data. */
async function forget(dir: string): Promise<void> {
  const files = await readdir(dir, { recursive: true }).catch(() => []);
  for (const file of files)
    if (file.endsWith('process.json')) await endRecordedProcess(join(dir, file), 'SIGKILL');
  for (const name of ['backing', 'store', 'journals', 'logs'])
    await rm(join(dir, name), { recursive: true, force: true, maxRetries: 3 });
}
