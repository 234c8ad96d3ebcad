import type { Log } from '@hotloop/platform/log.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { BatchCost } from '../batching/batch-cost.ts';
import type { Runner } from '../runner/runner.ts';
import { boundRuns, type RunLimits } from './bounded-runs.ts';
import { checkGolden, goldenInputs } from './check-golden.ts';
import type { GoldenTerms } from './compare-golden.ts';
import type { RecentInputs } from './recent-inputs.ts';
import type { RowVerdict } from './row-independence.ts';
import { WarmUpLoss, warmUp } from './warm-up.ts';

/** After this many runners lost to recent inputs, a version warms up without any. */
const MAX_LOSSES = 3;

export interface WarmRunnerAdapters {
  readonly recent: RecentInputs;
  readonly cost: BatchCost;
  readonly log: Log;
  /** Starts a runner of the same version that replaces a lost one. */
  replace(lost: Runner): Promise<Runner>;
}

export interface WarmRunnerOptions {
  /** The key of its recent inputs. */
  readonly model: string;
  readonly terms: GoldenTerms;
  readonly maxBatchRows: number;
  readonly budgetMs: number;
  readonly limits: RunLimits;
  /** False if there is no need to find out whether requests may share its runs. */
  readonly mayProbe: boolean;
}

/**
 * Checks a runner's golden examples and warms it up. Resolves with whether rows of one run are independent of each
 * other. Recent inputs must not keep a sound version from serving: an input that the model rejects is dropped, and so
 * is one that ends the runner, which is then replaced. A runner that ends on the probe's made-up rows is replaced
 * too, and its requests run alone. Rejects as checkGolden does, and UNAVAILABLE when zeros end a runner.
 */
export async function warmRunner(
  first: Runner,
  { recent, cost, log, replace }: WarmRunnerAdapters,
  options: WarmRunnerOptions,
  signal: AbortSignal,
): Promise<RowVerdict> {
  const { model, terms, maxBatchRows, budgetMs, limits } = options;
  const { executionProviders } = terms;
  let runner = first;
  let { mayProbe } = options;
  for (let losses = 0; ; ) {
    const bounded = boundRuns(runner, limits);
    await checkGolden(bounded, terms);
    const inputs = losses < MAX_LOSSES ? recent.of(model) : [];
    try {
      const result = await warmUp(bounded, inputs, cost, {
        maxBatchRows,
        executionProviders,
        examples: goldenInputs(runner.model, terms),
        budgetMs,
        mayProbe,
      });
      for (const refused of result.refused) recent.drop(model, refused);
      if (result.refused.length > 0)
        log.warn({ inputs: result.refused.length }, 'recent inputs that the version rejects are dropped');
      if (result.rows !== 'independent' && options.mayProbe)
        log.info(
          { runner: runner.pid, rows: result.rows },
          'its requests run alone: its rows could not be shown to be independent',
        );
      return result.rows;
    } catch (error) {
      // If the runner was killed from outside, its input is not the cause.
      signal.throwIfAborted();
      if (!(error instanceof WarmUpLoss)) throw error;
      const { step } = error;
      log.warn({ error, runner: runner.pid, step: step.kind }, 'a runner was lost while it warmed up');
      if (step.kind === 'made_up')
        throw new HotloopError('UNAVAILABLE', 'the runner ended or took too long while it warmed up', {
          reason: 'runner_lost',
          cause: error,
        });
      if (step.kind === 'probe') mayProbe = false;
      else {
        recent.drop(model, step.inputs);
        losses++;
      }
    }
    runner = await replace(runner);
  }
}
