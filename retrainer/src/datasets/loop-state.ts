import type { Clock } from '@hotloop/platform/clock.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ModelRules } from '../outcomes/model-rules.ts';
import { countWaiting } from '../outcomes/waiting-outcomes.ts';
import { readModelState } from '../rollouts/promotion-store.ts';
import type { TrainingRun } from '../runs/run.ts';
import { listRuns } from '../runs/run-store.ts';
import { sparingly } from './sparingly.ts';

export interface LoopState {
  readonly model: string;
  /** 0 when nothing is live. */
  readonly liveVersion: number;
  readonly predictionsLogged: number;
  readonly outcomes: number;
  readonly outcomesUnmatched: number;
  readonly messagesSetAside: number;
  readonly latestRun: TrainingRun | null;
}

export interface LoopReader {
  /** Throws NOT_FOUND. */
  read(model: string): Promise<LoopState>;
}

// Input: model, outcome topic. Output: one row of counts, all from counters.
const COUNTS = `
  SELECT
    (SELECT coalesce(sum(predictions), 0) FROM logged_count WHERE model = $1) AS predictions,
    (SELECT coalesce(sum(outcomes), 0) FROM outcome_count WHERE model = $1) AS outcomes,
    (SELECT coalesce(sum(messages), 0) FROM dead_letter_count WHERE topic = $2) AS dead_letters`;

// Input: model. Output: how many outcomes with keys match no row.
const UNMATCHED_BY_KEYS = `
  SELECT count(*) AS unmatched FROM outcome WHERE model = $1 AND prediction_id IS NULL
    AND sequence NOT IN (SELECT sequence FROM outcome_match WHERE model = $1)`;

/**
 * Where a model's loop stands. Counters are kept as predictions, outcomes and dead letters are stored, so reading them takes
 * the same time whatever their number. Outcomes that name their prediction count as unmatched until it is in Postgres. Only
 * outcomes with keys have to be joined to be counted: that is repeated no sooner than after twenty times as long as it took, and
 * callers meanwhile get the last count.
 */
export function loopReader(pool: Pool, rules: ModelRules, clock: Clock): LoopReader {
  const countings = new Map<string, () => Promise<number>>();

  const countUnmatched = async (model: string): Promise<number> => {
    if (rules.of(model).manifest.outcome.join === undefined) return 0;
    const { rows } = await pool.query<{ unmatched: string }>(UNMATCHED_BY_KEYS, [model]);
    return Number(rows[0]!.unmatched);
  };
  const unmatchedOf = (model: string) => {
    const counting = countings.get(model) ?? sparingly(() => countUnmatched(model), clock);
    countings.set(model, counting);
    return counting();
  };

  return {
    async read(model) {
      if (model === '') throw new HotloopError('INVALID_ARGUMENT', 'model is needed');
      const state = await readModelState(pool, model);
      const { from } = rules.of(model).manifest.outcome;
      const topic = from.startsWith('kafka:') ? from.slice('kafka:'.length) : '';
      const [counts, waiting, unmatched, runs] = await Promise.all([
        pool.query<Record<'predictions' | 'outcomes' | 'dead_letters', string>>(COUNTS, [model, topic]),
        countWaiting(pool, model),
        unmatchedOf(model),
        listRuns(pool, model, 1),
      ]).catch((error: unknown) => {
        throw fromPostgresError(error);
      });
      const row = counts.rows[0]!;
      return {
        model,
        liveVersion: state.liveVersion ?? 0,
        predictionsLogged: Number(row.predictions),
        outcomes: Number(row.outcomes),
        outcomesUnmatched: waiting + unmatched,
        messagesSetAside: Number(row.dead_letters),
        latestRun: runs[0] ?? null,
      };
    },
  };
}
