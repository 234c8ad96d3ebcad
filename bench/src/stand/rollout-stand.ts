import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type HotloopClient } from '@hotloop/client';
import { startBackingServices } from '@hotloop/deploy/backing/backing-services.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { migrate } from '@hotloop/platform/postgres/migrate.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { CACHE } from './bench-local.ts';
import { type KillableService, startKillableService } from './killable-service.ts';

const LIMIT_MS = 1_200_000;
const CLI = fileURLToPath(new URL('../../../cli/src/main.ts', import.meta.url));

export interface RolloutStandOptions {
  readonly folder: string;
  /** Compute nodes. */
  readonly nodes: number;
  readonly computeEnvironment?: Readonly<Record<string, string>>;
}

/**
 * The four services as processes that can be killed, including several compute nodes, with their own Postgres and
 * Redis.
 */
export interface RolloutStand extends AsyncDisposable {
  readonly pool: Pool;
  readonly client: HotloopClient;
  readonly retrainer: KillableService;
  readonly computes: readonly KillableService[];
  readonly postprocessor: KillableService;
  readonly preprocessor: KillableService;
  /** Starts the command line as a user does; resolves when it has ended. */
  command(...args: string[]): RunningCommand;
}

export interface RunningCommand {
  /** Exit code (null when it was killed) and standard output. */
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
  kill(): void;
}

export async function openRolloutStand({
  folder,
  nodes,
  computeEnvironment = {},
}: RolloutStandOptions): Promise<RolloutStand> {
  await using opened = new AsyncDisposableStack();
  const signal = AbortSignal.timeout(LIMIT_MS);
  const backing = opened.use(
    await startBackingServices(
      { dir: join(folder, 'backing'), cacheDir: CACHE, addresses: {}, log: () => undefined },
      signal,
    ),
  );
  const log = silentLog();
  await migrate(backing.databaseUrl, { log });
  const pool = opened.use(
    openPool(backing.databaseUrl, { max: 4, queryTimeoutMs: 30_000, application: 'drill', log }),
  );
  const shared = { DATABASE_URL: backing.databaseUrl, HOTLOOP_STORE: join(folder, 'store') };
  const start = async (script: string, environment: Record<string, string>) =>
    opened.use(await startKillableService({ script, environment: { ...shared, ...environment } }, signal));
  const retrainer = await start('retrainer/src/main.ts', {
    HOTLOOP_NODE: 'control',
    REDIS_QUEUE_URL: backing.redisQueueUrl,
  });
  const computes: KillableService[] = [];
  for (let node = 1; node <= nodes; node++)
    computes.push(
      await start('compute/src/main.ts', {
        ...computeEnvironment,
        HOTLOOP_NODE: `compute-${node}`,
        HOTLOOP_DATA: join(folder, 'data'),
      }),
    );
  const postprocessor = await start('postprocessor/src/main.ts', {
    HOTLOOP_NODE: 'decide',
    HOTLOOP_DATA: join(folder, 'data'),
  });
  const preprocessor = await start('preprocessor/src/main.ts', {
    HOTLOOP_NODE: 'front',
    HOTLOOP_DATA: join(folder, 'data'),
    REDIS_CACHE_URL: backing.redisCacheUrl,
    HOTLOOP_COMPUTE: computes.map(({ address }) => address).join(','),
    HOTLOOP_POSTPROCESSOR: postprocessor.address,
    HOTLOOP_RETRAINER: retrainer.address,
  });
  const client = opened.use(
    await connect({ address: preprocessor.address, retrainerAddress: retrainer.address }),
  );
  const stack = opened.move();
  return {
    pool,
    client,
    retrainer,
    computes,
    postprocessor,
    preprocessor,
    command: (...args) => startCommand([...args, '--control', `http://${retrainer.httpAddress}`]),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function startCommand(args: readonly string[]): RunningCommand {
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { TZ: 'UTC', PATH: '/usr/bin:/bin', HOTLOOP_CONFIG: '/dev/null' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  return {
    ended: new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    }),
    kill: () => void child.kill('SIGKILL'),
  };
}
