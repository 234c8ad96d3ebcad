import type { FrameTensor } from '../runner/frames.ts';
import type { Runner, RunResult } from '../runner/runner.ts';

/**
 * Runs once and ends a runner that has not answered after so long: the run then rejects RunnerGone, as when the runner
 * ends by itself. For runs outside a batcher, which looks for hung runners on its own.
 */
export async function runWithin(
  runner: Runner,
  tensors: readonly FrameTensor[],
  hangMs: number,
): Promise<RunResult> {
  const timer = setTimeout(() => runner.kill(), hangMs);
  try {
    return await runner.run(tensors);
  } finally {
    clearTimeout(timer);
  }
}
