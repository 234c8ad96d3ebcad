import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const READY_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
const COMPILED = fileURLToPath(new URL('../../../.hotloop/cache/compiled', import.meta.url));

/** A service as a separate process, for tests of its main.ts. Disposal kills it. */
export interface ServiceProcess extends AsyncDisposable {
  /** Resolves with its addresses; rejects with its stderr when it exits before it is ready. */
  ready(): Promise<string>;
  /** Sends the signal; resolves with the exit code. */
  stop(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<number | null>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  stderr(): string;
}

/** Starts a main.ts with only this environment, plus Node's own cache of compiled code. */
export function startServiceProcess(
  main: string,
  environment: Readonly<Record<string, string>>,
): ServiceProcess {
  const child = spawn(process.execPath, [main], {
    env: { NODE_COMPILE_CACHE: COMPILED, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const address = Promise.withResolvers<string>();
  address.promise.catch(() => undefined);
  createInterface({ input: child.stdout }).on('line', (line) => {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed === 'object' && parsed && 'ready' in parsed && 'address' in parsed)
      address.resolve(String(parsed.address));
  });
  void ended.then((code) => address.reject(new Error(`ended with ${code} before it was ready:\n${errors}`)));
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    try {
      return await ended;
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    async ready() {
      const timer = setTimeout(
        () => address.reject(new Error(`not ready in time:\n${errors}`)),
        READY_TIMEOUT_MS,
      );
      try {
        return await address.promise;
      } finally {
        clearTimeout(timer);
      }
    },
    stop,
    ended,
    stderr: () => errors,
    [Symbol.asyncDispose]: async () => {
      await stop('SIGKILL');
    },
  };
}
