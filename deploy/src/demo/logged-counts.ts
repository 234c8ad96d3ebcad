import { setTimeout as delay } from 'node:timers/promises';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';

const POLL_MS = 250;

/** Row counts in Postgres for a model. */
export interface LoggedCounts {
  /** Distinct prediction ids in the prediction log. */
  readonly predictions: number;
  readonly outcomes: number;
}

async function loggedCounts(pool: Pool, model: string): Promise<LoggedCounts> {
  const { rows } = await pool.query<{ predictions: string; outcomes: string }>(
    `SELECT (SELECT count(DISTINCT prediction_id) FROM prediction WHERE model = $1) AS predictions,
            (SELECT count(*) FROM outcome WHERE model = $1) AS outcomes`,
    [model],
  );
  return { predictions: Number(rows[0]?.predictions ?? 0), outcomes: Number(rows[0]?.outcomes ?? 0) };
}

/** Outcome reports about a model; cheap enough to query every second. */
export async function outcomeCount(pool: Pool, model: string): Promise<number> {
  const { rows } = await pool.query<{ outcomes: string }>(
    'SELECT count(*) AS outcomes FROM outcome WHERE model = $1',
    [model],
  );
  return Number(rows[0]?.outcomes ?? 0);
}

/**
 * Waits until the journals have been shipped: as many rows as predictions. Returns the last count after `timeoutMs`.
 */
export async function shippedCounts(
  pool: Pool,
  model: string,
  predictions: number,
  timeoutMs: number,
): Promise<LoggedCounts> {
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    const counts = await loggedCounts(pool, model);
    if (counts.predictions >= predictions || performance.now() > endsAt) return counts;
    await delay(POLL_MS);
  }
}
