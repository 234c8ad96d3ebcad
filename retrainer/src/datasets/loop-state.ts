import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ModelRules } from '../outcomes/model-rules.ts';
import { findSource, type SqlSource } from '../outcomes/sql/sql-source-store.ts';
import { readModelState } from '../rollouts/promotion-store.ts';
import type { TrainingRun } from '../runs/run.ts';
import { listRuns } from '../runs/run-store.ts';

export interface LoopState {
  readonly model: string;
  /** 0 when nothing is live. */
  readonly liveVersion: number;
  readonly predictionsLogged: number;
  readonly outcomes: number;
  readonly outcomesUnmatched: number;
  readonly messagesSetAside: number;
  readonly latestRun: TrainingRun | null;
  /** Where the reading of outcomes by SQL stands; null where none is declared or before the first. */
  readonly sqlSource: SqlSource | null;
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
    (SELECT coalesce(sum(waiting), 0) FROM outcome_waiting_count WHERE model = $1) AS unmatched,
    (SELECT coalesce(sum(messages), 0) FROM dead_letter_count WHERE topic = $2) AS dead_letters`;

/**
 * Where a model's loop stands. Counters are kept as predictions, outcomes and dead letters are stored and as outcomes find their
 * prediction (`match-outcomes.ts`), so reading them takes the same time whatever their number. An outcome counts as unmatched until
 * its prediction is in Postgres and has been found.
 */
export function loopReader(pool: Pool, rules: ModelRules): LoopReader {
  return {
    async read(model) {
      if (model === '') throw new HotloopError('INVALID_ARGUMENT', 'model is needed');
      const state = await readModelState(pool, model);
      const { from } = rules.of(model).manifest.outcome;
      const isTopic = typeof from === 'string' && from.startsWith('kafka:');
      const topic = isTopic ? from.slice('kafka:'.length) : '';
      const [counts, runs, source] = await Promise.all([
        pool.query<Record<'predictions' | 'outcomes' | 'unmatched' | 'dead_letters', string>>(COUNTS, [
          model,
          topic,
        ]),
        listRuns(pool, model, 1),
        typeof from === 'string' ? null : findSource(pool, model),
      ]).catch((error: unknown) => {
        throw fromPostgresError(error);
      });
      const row = counts.rows[0]!;
      return {
        model,
        liveVersion: state.liveVersion ?? 0,
        predictionsLogged: Number(row.predictions),
        outcomes: Number(row.outcomes),
        outcomesUnmatched: Number(row.unmatched),
        messagesSetAside: Number(row.dead_letters),
        latestRun: runs[0] ?? null,
        sqlSource: source,
      };
    },
  };
}
