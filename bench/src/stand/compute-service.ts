import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../compute/src/main.ts', import.meta.url));
const START_MS = 30_000;
const STOP_MS = 30_000;
const RETRY_MS = 200;

export interface ComputeServiceOptions {
  readonly databaseUrl: string;
  /** Holds the store and, unless `data` says otherwise, the journals. */
  readonly folder: string;
  readonly data?: string;
  readonly node: string;
  /** Further settings, such as TLS. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Compute as it is installed: its own main.ts, its settings in the environment, the registry in Postgres. */
export interface ComputeService extends AsyncDisposable {
  /** The same after every start. */
  readonly address: string;
  /** Ends it as a crash does, and starts it again until it serves; what it depends on may be away meanwhile. */
  crash(): Promise<void>;
}

export async function startComputeService(
  options: ComputeServiceOptions,
  signal: AbortSignal,
): Promise<ComputeService> {
  const first = await start(options, '127.0.0.1:0', signal);
  const { address } = first;
  let child = first.child;
  return {
    address,
    async crash() {
      await end(child, 'SIGKILL');
      for (;;) {
        try {
          ({ child } = await start(options, address, signal));
          return;
        } catch (error) {
          if (signal.aborted) throw error;
          await delay(RETRY_MS, undefined, { signal });
        }
      }
    },
    async [Symbol.asyncDispose]() {
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await end(child, 'SIGTERM');
      clearTimeout(timer);
    },
  };
}

async function start(
  { databaseUrl, folder, node, data, environment }: ComputeServiceOptions,
  listen: string,
  signal: AbortSignal,
): Promise<{ child: ChildProcess; address: string }> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      TZ: 'UTC',
      DATABASE_URL: databaseUrl,
      HOTLOOP_LISTEN: listen,
      HOTLOOP_HTTP_LISTEN: '127.0.0.1:0',
      HOTLOOP_STORE: join(folder, 'store'),
      HOTLOOP_DATA: data ?? join(folder, 'data'),
      HOTLOOP_NODE: node,
      HOTLOOP_LOG_LEVEL: 'error',
      HOTLOOP_TRACE_RATIO: '0',
      ...environment,
    },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith('{')) continue;
      const { address } = JSON.parse(line) as { address: string };
      child.stdout.resume();
      return { child, address };
    }
    throw new Error('compute ended before it served');
  } catch (error) {
    await end(child, 'SIGKILL');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
}
