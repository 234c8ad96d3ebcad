import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ModelRules } from '../outcomes/model-rules.ts';
import { readModelState } from '../rollouts/promotion-store.ts';
import type { TrainingRun } from '../runs/run.ts';
import { listRuns } from '../runs/run-store.ts';
import { CLOCK_SKEW_MS, ITEM_KEY } from './join.ts';

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

interface Counts {
  readonly predictions: number;
  readonly outcomes: number;
  readonly unknown: number;
  readonly setAside: number;
}

/** Counting may take this share of the time, however often it is asked for. */
const DUTY = 0.05;
const SHORTEST_MS = 100;
/** A caller waits for a new count when the last one took no longer. */
const QUICK_MS = 250;

// Input: model, outcome topic. Output: one row of counts; unknown: outcomes that name a prediction nobody has logged.
const COUNTS = `
  SELECT
    (SELECT count(*) FROM prediction WHERE model = $1) AS predictions,
    (SELECT count(*) FROM outcome WHERE model = $1) AS outcomes,
    (SELECT count(*) FROM outcome WHERE model = $1 AND prediction_id IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM prediction WHERE prediction.prediction_id = outcome.prediction_id)) AS unknown,
    (SELECT count(*) FROM set_aside WHERE topic = $2) AS set_aside`;

/**
 * Counts the outcomes with keys that match no prediction, as the join would. Input: model, clock skew and window in seconds,
 * then the join keys. Plain equalities on both sides, so that Postgres hashes the predictions once.
 */
function unmatchedByKeys(keys: readonly string[]): string {
  const byItem = keys.includes(ITEM_KEY);
  const equalities = keys.map((key, index) =>
    key === ITEM_KEY
      ? `asked.item = outcome.keys ->> $${index + 4}`
      : `asked.entities ->> $${index + 4} = outcome.keys ->> $${index + 4}`,
  );
  const asked = byItem
    ? `SELECT at, entities, coalesce(candidate, entities ->> '${ITEM_KEY}') AS item
       FROM prediction LEFT JOIN LATERAL unnest(candidates) AS candidate ON true WHERE model = $1`
    : 'SELECT at, entities FROM prediction WHERE model = $1 AND cardinality(candidates) <= 1';
  return `SELECT count(*) AS unmatched FROM outcome WHERE model = $1 AND prediction_id IS NULL
    AND NOT EXISTS (SELECT 1 FROM (${asked}) asked WHERE ${equalities.join(' AND ')}
      AND outcome.occurred_at BETWEEN asked.at - make_interval(secs => $2) AND asked.at + make_interval(secs => $3))`;
}

/**
 * Where a model's loop stands. The counts are exact when they are taken; taking them may cost a scan, so one that took long
 * is not repeated for twenty times as long, and callers meanwhile get the last one.
 */
export function loopReader(pool: Pool, rules: ModelRules, clock: Clock): LoopReader {
  const countings = new Map<string, { counts(): Promise<Counts>; unmatched(): Promise<number> }>();

  const countAll = async (model: string): Promise<Counts> => {
    const { from } = rules.of(model).manifest.outcome;
    const topic = from.startsWith('kafka:') ? from.slice('kafka:'.length) : '';
    const { rows } = await pool.query<Record<'predictions' | 'outcomes' | 'unknown' | 'set_aside', string>>(
      COUNTS,
      [model, topic],
    );
    const row = rows[0]!;
    return {
      predictions: Number(row.predictions),
      outcomes: Number(row.outcomes),
      unknown: Number(row.unknown),
      setAside: Number(row.set_aside),
    };
  };
  const countUnmatched = async (model: string): Promise<number> => {
    const { join: keys, window } = rules.of(model).manifest.outcome;
    if (keys === undefined) return 0;
    const bounds = [CLOCK_SKEW_MS / 1000, durationMs(window) / 1000];
    const { rows } = await pool.query<{ unmatched: string }>(unmatchedByKeys(keys), [
      model,
      ...bounds,
      ...keys,
    ]);
    return Number(rows[0]!.unmatched);
  };
  const countingOf = (model: string) => {
    const counting = countings.get(model) ?? {
      counts: sparingly(() => countAll(model), clock),
      unmatched: sparingly(() => countUnmatched(model), clock),
    };
    countings.set(model, counting);
    return counting;
  };

  return {
    async read(model) {
      if (model === '') throw new HotloopError('INVALID_ARGUMENT', 'model is needed');
      const state = await readModelState(pool, model);
      const counting = countingOf(model);
      const [counts, unmatched, runs] = await Promise.all([
        counting.counts(),
        counting.unmatched(),
        listRuns(pool, model, 1),
      ]).catch((error: unknown) => {
        throw fromPostgresError(error);
      });
      return {
        model,
        liveVersion: state.liveVersion ?? 0,
        predictionsLogged: counts.predictions,
        outcomes: counts.outcomes,
        outcomesUnmatched: counts.unknown + unmatched,
        messagesSetAside: counts.setAside,
        latestRun: runs[0] ?? null,
      };
    },
  };
}

/**
 * Computes at most one at a time, and again only after twenty times as long as the last one took; until then callers get
 * the last value. They wait for the first value alone: a later one is computed behind them, unless it is quick. When it
 * cannot be computed the last value stays.
 */
function sparingly<T>(compute: () => Promise<T>, clock: Clock): () => Promise<T> {
  let last: { readonly value: T } | null = null;
  let freshUntil = Number.NEGATIVE_INFINITY;
  let tookMs = 0;
  let computing: Promise<T> | null = null;

  const begin = async (): Promise<T> => {
    const begun = clock.monotonic();
    try {
      const value = await compute();
      last = { value };
      return value;
    } finally {
      const ended = clock.monotonic();
      tookMs = ended - begun;
      freshUntil = ended + Math.max(SHORTEST_MS, tookMs / DUTY);
      computing = null;
    }
  };
  return async () => {
    if (last && clock.monotonic() < freshUntil) return last.value;
    computing ??= begin();
    if (last === null) return computing;
    const { value } = last;
    const next = computing.catch(() => value);
    return tookMs > QUICK_MS ? value : next;
  };
}
