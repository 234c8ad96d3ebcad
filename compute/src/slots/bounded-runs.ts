import type { Runner } from '../runner/runner.ts';

/** What warms a runner up sees of it. */
export type BoundedRunner = Pick<Runner, 'pid' | 'model' | 'run'>;

export interface RunLimits {
  /** Of the first run, until one was answered well: some providers build there what all later ones use. */
  readonly firstMs: number;
  readonly laterMs: number;
}

/**
 * Ends a runner that has not answered a run in time: the run then rejects RunnerGone, as when the runner ends by itself. For
 * runs outside a batcher, which looks for hung runners on its own.
 */
export function boundRuns(runner: Runner, { firstMs, laterMs }: RunLimits): BoundedRunner {
  let limitMs = firstMs;
  return {
    pid: runner.pid,
    model: runner.model,
    async run(tensors) {
      const timer = setTimeout(() => runner.kill(), limitMs);
      try {
        const result = await runner.run(tensors);
        limitMs = laterMs;
        return result;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
