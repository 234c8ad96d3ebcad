import type { Runner } from '../runner/runner.ts';

/** The part of a runner that the warm-up uses. */
export type BoundedRunner = Pick<Runner, 'pid' | 'model' | 'run'>;

export interface RunLimits {
  /** Limit for each run until one has succeeded: some providers compile there what all later runs use. */
  readonly firstMs: number;
  readonly laterMs: number;
}

/**
 * Kills a runner that does not answer a run in time; the run then rejects RunnerGone, as when the runner ends by
 * itself. For runs outside a batcher, which detects hung runners on its own.
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
