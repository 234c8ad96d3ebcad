import { setTimeout as delay } from 'node:timers/promises';
import type { ServerProcess } from './server-process.ts';

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;
/** A server that ran this long had started successfully, so the next wait is short again. */
const LONG_LIFE_MS = 10_000;

export interface KeepRunningOptions {
  readonly name: string;
  /** Restarts it, at the same address and with the same data. */
  readonly start: (signal: AbortSignal) => Promise<ServerProcess<unknown>>;
  readonly log: (line: string) => void;
}

/** A server that is restarted when it ends by itself. Disposing stops it for good. */
export interface KeptServer extends AsyncDisposable {
  /** Of its current process. */
  readonly pid: number;
}

/** Restarts a server whenever it ends by itself, with growing waits. Owns `first` from now on. */
export function keepRunning(first: ServerProcess<unknown>, options: KeepRunningOptions): KeptServer {
  const stopping = new AbortController();
  const { signal } = stopping;
  let server = first;
  let waitMs = FIRST_WAIT_MS;

  async function revive(): Promise<void> {
    while (!signal.aborted) {
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
      waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS);
      if (signal.aborted) return;
      try {
        server = await options.start(signal);
        options.log(`${options.name} is back`);
        return;
      } catch {
        if (!signal.aborted) options.log(`${options.name} could not be restarted; retrying`);
      }
    }
  }

  async function watch(): Promise<void> {
    while (!signal.aborted) {
      const began = performance.now();
      await server.exited;
      if (performance.now() - began > LONG_LIFE_MS) waitMs = FIRST_WAIT_MS;
      await revive();
    }
  }

  const watching = watch();
  return {
    get pid() {
      return server.pid;
    },
    async [Symbol.asyncDispose]() {
      stopping.abort(new DOMException('the server is stopped for good', 'AbortError'));
      await server[Symbol.asyncDispose]();
      await watching;
      // It may have been restarted just when it was to be stopped.
      await server[Symbol.asyncDispose]();
    },
  };
}
