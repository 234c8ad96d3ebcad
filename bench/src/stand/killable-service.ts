import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const START_MS = 60_000;
const STOP_MS = 30_000;
const RETRY_MS = 200;

export interface KillableServiceOptions {
  /** The service's main.ts, from the root of the project. */
  readonly script: string;
  /** Its whole environment except for the addresses that it listens on. */
  readonly environment: Readonly<Record<string, string>>;
  /** host:port of gRPC; default: a free port. */
  readonly listen?: string;
}

/** A service as it is installed: its own main.ts in its own process, which can be killed and restarted. */
export interface KillableService extends AsyncDisposable {
  /** host:port of gRPC and of HTTP; the same after every start. */
  readonly address: string;
  readonly httpAddress: string;
  readonly pid: number;
  /** Ends it like a crash. */
  kill(): Promise<void>;
  /**
   * Starts it again, with some settings changed, and resolves when it serves; retries while its dependencies are
   * down.
   */
  start(changed?: Readonly<Record<string, string>>): Promise<void>;
}

interface Started {
  readonly child: ChildProcess;
  readonly address: string;
  readonly httpAddress: string;
}

export async function startKillableService(
  options: KillableServiceOptions,
  signal: AbortSignal,
): Promise<KillableService> {
  const first = await startOnce(options, options.listen ?? '127.0.0.1:0', '127.0.0.1:0', signal);
  const { address, httpAddress } = first;
  let child = first.child;
  return {
    address,
    httpAddress,
    get pid() {
      return child.pid ?? 0;
    },
    kill: () => end(child, 'SIGKILL'),
    async start(changed = {}) {
      const environment = { ...options.environment, ...changed };
      for (;;) {
        try {
          ({ child } = await startOnce({ ...options, environment }, address, httpAddress, signal));
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

async function startOnce(
  { script, environment }: KillableServiceOptions,
  listen: string,
  httpListen: string,
  signal: AbortSignal,
): Promise<Started> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, ['--disable-warning=TimeoutNegativeWarning', `${ROOT}${script}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      TZ: 'UTC',
      HOTLOOP_LOG_LEVEL: 'error',
      HOTLOOP_TRACE_RATIO: '0',
      ...environment,
      HOTLOOP_LISTEN: listen,
      HOTLOOP_HTTP_LISTEN: httpListen,
    },
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), START_MS);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.startsWith('{')) continue;
      const ready = JSON.parse(line) as Omit<Started, 'child'>;
      child.stdout.resume();
      return { child, address: ready.address, httpAddress: ready.httpAddress };
    }
    throw new Error(`${script} ended before it was ready`);
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
