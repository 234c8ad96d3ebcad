import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import { startWatchdog } from '@hotloop/deploy/backing/watchdog.ts';
import { openServiceLog } from '@hotloop/deploy/local/service-log.ts';
import { type SupervisedService, superviseService } from '@hotloop/deploy/local/supervised-service.ts';
import type { ServiceName } from '@hotloop/deploy/single/single-listen.ts';
import { processTree } from './process-tree.ts';
import type { StoreAddresses } from './stores.ts';

/** The sources that run here. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const START_MS = 180_000;
const STOP_MS = 20_000;
const AGAIN_MS = 200;

export interface ClusterOptions {
  readonly folder: string;
  readonly stores: StoreAddresses;
  /** Number of processes of each service. */
  readonly counts: Readonly<Record<ServiceName, number>>;
  /** Additional variables of the services, such as HOTLOOP_DRAIN_MS. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The checkout whose main.ts files are run; default: this one. */
  readonly root?: string;
  /** Replaces a compute node's address for the preprocessors, such as by that of a proxy. */
  readonly computeProxy?: (address: string) => Promise<string>;
}

/** One process of a service, restarted when it crashes. */
export interface ClusterNode {
  readonly name: string;
  readonly service: ServiceName;
  readonly address: string;
  readonly httpAddress: string;
  readonly pid: number | undefined;
  /** Its child processes: for compute, the runners. */
  children(): number[];
  /** Ends it with SIGTERM, so that it drains; it is not restarted. */
  stop(): Promise<void>;
  /** Starts it at the same address, with the code of another checkout if `root` is given; resolves when it serves. */
  start(root?: string): Promise<void>;
}

/** The services as several processes, with one set of stores, each node with its own folder. */
export interface Cluster extends AsyncDisposable {
  readonly nodes: readonly ClusterNode[];
  of(service: ServiceName): readonly ClusterNode[];
  /** Comma-separated addresses, as the client library and the services accept them. */
  addresses(service: ServiceName): string;
  /** Resolves when every process accepts connections again. Throws after three minutes. */
  untilUp(): Promise<void>;
}

const ORDER: readonly ServiceName[] = ['retrainer', 'postprocessor', 'compute', 'preprocessor'];

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  await using opened = new AsyncDisposableStack();
  const watchdog = opened.use(startWatchdog());
  const { folder, stores, counts } = options;
  const nodes: StartableNode[] = [];
  const addresses = (service: ServiceName) =>
    nodes
      .filter((node) => node.service === service)
      .map(({ address }) => address)
      .join(',');
  const shared: Readonly<Record<string, string>> = {
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    DATABASE_URL: stores.databaseUrl,
    REDIS_CACHE_URL: stores.redisCacheUrl,
    REDIS_QUEUE_URL: stores.redisQueueUrl,
    KAFKA_BROKERS: stores.kafkaBrokers,
    HOTLOOP_STORE: join(folder, 'store'),
    HOTLOOP_DRAIN_MS: '5000',
    HOTLOOP_LOG_LEVEL: 'info',
    HOTLOOP_TRACE_RATIO: '0',
    ...options.environment,
  };
  for (const service of ORDER) {
    for (let index = 1; index <= counts[service]; index++) {
      const name = `${service}-${index}`;
      const listen = {
        HOTLOOP_LISTEN: `127.0.0.1:${await freePort()}`,
        HOTLOOP_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
        HOTLOOP_DATA: join(folder, 'data', name),
      };
      const log = opened.use(await openServiceLog(join(folder, 'logs', `${name}.log`)));
      nodes.push(
        new StartableNode(name, service, listen, options.root ?? ROOT, (root, env) =>
          superviseService(
            {
              name,
              script: join(root, service, 'src', 'main.ts'),
              cwd: root,
              recordFile: join(folder, `${name}.process.json`),
              ...{ log, watchdog },
              onEvent: () => undefined,
              env: () => knownTo(root, service, { ...shared, ...env, ...peers() }),
            },
            AbortSignal.timeout(START_MS),
          ),
        ),
      );
    }
  }
  const computes = await Promise.all(
    addresses('compute')
      .split(',')
      .map((address) => options.computeProxy?.(address) ?? address),
  );
  const peers = () => ({
    HOTLOOP_COMPUTE: computes.join(','),
    HOTLOOP_POSTPROCESSOR: addresses('postprocessor'),
    HOTLOOP_RETRAINER: addresses('retrainer'),
  });
  // The first service migrates the database; the others then find it up to date.
  for (const service of ORDER)
    await Promise.all(
      nodes
        .filter((node) => node.service === service)
        .map(async (node) => {
          opened.defer(() => node.stop());
          await node.start();
        }),
    );
  const stack = opened.move();
  return {
    nodes,
    of: (service) => nodes.filter((node) => node.service === service),
    addresses,
    async untilUp() {
      const end = performance.now() + START_MS;
      for (const { name, address } of nodes)
        while (!(await accepts(address))) {
          if (performance.now() > end) throw new Error(`${name} did not come back`);
          await delay(AGAIN_MS);
        }
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function accepts(address: string): Promise<boolean> {
  const { hostname, port } = new URL(`tcp://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Without the variables that these sources do not know, because an older state refuses to start with unknown ones. */
function knownTo(
  root: string,
  service: ServiceName,
  environment: Readonly<Record<string, string>>,
): Record<string, string> {
  if (root === ROOT) return { ...environment };
  const sources = [join(root, service, 'src'), join(root, 'platform', 'src')].flatMap((folder) =>
    (readdirSync(folder, { recursive: true }) as string[])
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  );
  return Object.fromEntries(
    Object.entries(environment).filter(
      ([name]) => !name.startsWith('HOTLOOP_') || sources.some((text) => text.includes(`${name}:`)),
    ),
  );
}

type Supervise = (root: string, env: Readonly<Record<string, string>>) => Promise<SupervisedService>;

class StartableNode implements ClusterNode {
  readonly name: string;
  readonly service: ServiceName;
  readonly address: string;
  readonly httpAddress: string;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #supervise: Supervise;
  #root: string;
  #running: SupervisedService | undefined;

  constructor(
    name: string,
    service: ServiceName,
    listen: { readonly HOTLOOP_LISTEN: string; readonly HOTLOOP_HTTP_LISTEN: string },
    root: string,
    supervise: Supervise,
  ) {
    this.name = name;
    this.service = service;
    this.address = listen.HOTLOOP_LISTEN;
    this.httpAddress = listen.HOTLOOP_HTTP_LISTEN;
    this.#environment = { ...listen, HOTLOOP_NODE: name };
    this.#root = root;
    this.#supervise = supervise;
  }

  get pid(): number | undefined {
    return this.#running?.pid;
  }

  children(): number[] {
    const { pid } = this;
    return pid === undefined ? [] : processTree(pid).slice(1);
  }

  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.stop(STOP_MS);
  }

  async start(root = this.#root): Promise<void> {
    this.#root = root;
    this.#running = await this.#supervise(root, this.#environment);
  }
}
