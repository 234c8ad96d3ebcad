import { setTimeout as delay } from 'node:timers/promises';
import {
  type ReadyLine,
  type ServiceChild,
  type ServiceChildOptions,
  startServiceChild,
} from './service-child.ts';

const FIRST_BACKOFF_MS = 100;
const LONGEST_BACKOFF_MS = 15_000;
/** A service that ran this long before it crashed restarts with the shortest wait. */
const HEALTHY_MS = 60_000;

/** Events of a supervised service. */
export type ServiceEvent =
  | { readonly kind: 'crashed'; readonly service: string; readonly how: string; readonly retryInMs: number }
  | { readonly kind: 'restarted'; readonly service: string };

export interface SupervisedOptions extends Omit<ServiceChildOptions, 'env'> {
  /** The environment of the first start, and of later ones, which know the address of the first. */
  readonly env: (firstReady: ReadyLine | undefined) => Readonly<Record<string, string>>;
  readonly onEvent: (event: ServiceEvent) => void;
}

/** A service that is restarted whenever it ends by itself. */
export interface SupervisedService {
  /** The ready line of the first process: restarts keep the address. */
  readonly ready: ReadyLine;
  readonly name: string;
  /** The current process; undefined between a crash and the restart. */
  readonly pid: number | undefined;
  stop(timeoutMs: number): Promise<void>;
}

/** Starts a service and keeps it running until stopped. Throws when the first start fails. */
export async function superviseService(
  options: SupervisedOptions,
  signal: AbortSignal,
): Promise<SupervisedService> {
  const stopping = new AbortController();
  const first = await startServiceChild({ ...options, env: options.env(undefined) }, signal);
  let current: ServiceChild | undefined = first;
  const loop = (async () => {
    let backoffMs = FIRST_BACKOFF_MS;
    let startedAt = performance.now();
    while (!stopping.signal.aborted) {
      if (current) {
        const how = await current.ended;
        if (stopping.signal.aborted) break;
        // Its children must not hold the port or the journal when the next one starts.
        await current.stop(0);
        current = undefined;
        if (performance.now() - startedAt > HEALTHY_MS) backoffMs = FIRST_BACKOFF_MS;
        options.onEvent({ kind: 'crashed', service: options.name, how, retryInMs: backoffMs });
      }
      await delay(backoffMs, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) break;
      backoffMs = Math.min(LONGEST_BACKOFF_MS, backoffMs * 2);
      startedAt = performance.now();
      current = await startServiceChild({ ...options, env: options.env(first.ready) }, stopping.signal).catch(
        (error: unknown) => {
          options.log.write(`restart failed: ${error instanceof Error ? error.message : String(error)}`);
          return undefined;
        },
      );
      if (current) options.onEvent({ kind: 'restarted', service: options.name });
    }
  })();
  return {
    ready: first.ready,
    name: options.name,
    get pid() {
      return current?.pid;
    },
    async stop(timeoutMs) {
      stopping.abort();
      await current?.stop(timeoutMs);
      await loop;
      await current?.stop(0);
    },
  };
}
