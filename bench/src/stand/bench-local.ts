import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type HotloopClient } from '@hotloop/client';
import { ANY_PORTS, type Local, type LocalOptions, startLocal } from '@hotloop/deploy/local/start-local.ts';

/** System packages that were unpacked once. */
export const CACHE = fileURLToPath(new URL('../../../.hotloop/cache', import.meta.url));
const START_MS = 180_000;

export type BenchLocalOptions = Partial<Omit<LocalOptions, 'cacheDir' | 'fresh' | 'ports'>> & {
  /** Cancels the start; default: after three minutes. */
  readonly signal?: AbortSignal;
};

/**
 * The platform as `hotloop up` starts it: in `local` below the folder, with its own backing services, on free ports,
 * without output.
 */
export function startBenchLocal(folder: string, options: BenchLocalOptions = {}): Promise<Local> {
  const { signal = AbortSignal.timeout(START_MS), environment, ...others } = options;
  return startLocal(
    {
      dir: join(folder, 'local'),
      single: false,
      addresses: {},
      say: () => undefined,
      ...others,
      cacheDir: CACHE,
      fresh: true,
      ports: ANY_PORTS,
      environment: { HOTLOOP_LOG_LEVEL: 'error', ...environment },
    },
    signal,
  );
}

/** A client of the preprocessor and the retrainer. */
export function connectTo({ addresses }: Local, timeoutMs?: number): Promise<HotloopClient> {
  return connect({
    address: addresses.preprocessor,
    retrainerAddress: addresses.retrainer,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}
