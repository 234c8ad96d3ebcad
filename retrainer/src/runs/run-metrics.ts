import type { Pool, Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { RunClaim } from './run-store.ts';

/** One point of a curve. */
export interface CurvePoint {
  readonly name: string;
  readonly step: number;
  readonly value: number;
}

const MOST_POINTS = 5_000;

// Input: run, token, points. A stale token writes nothing; a repeated step overwrites the value.
const WRITE = `
  INSERT INTO run_metric (run_id, name, step, value)
  SELECT $1, name, step, value FROM unnest($3::text[], $4::bigint[], $5::float8[]) AS point (name, step, value)
  WHERE EXISTS (SELECT 1 FROM training_run WHERE run_id = $1 AND token = $2)
  ON CONFLICT (run_id, name, step) DO UPDATE SET value = excluded.value, at = now()`;

async function writeCurve(pool: Pool, claim: RunClaim, points: readonly CurvePoint[]): Promise<void> {
  const unique = [...new Map(points.map((point) => [`${point.name} ${point.step}`, point])).values()];
  const columns = [
    unique.map(({ name }) => name),
    unique.map(({ step }) => step),
    unique.map(({ value }) => value),
  ];
  await pool.query(WRITE, [claim.run.runId, claim.token, ...columns]);
}

export interface CurveWriter {
  /** Adds a point, which is written soon. Non-finite values are dropped. */
  add(name: string, step: number, value: number | null): void;
  /** Resolves when all points have been written or have failed. */
  settled(): Promise<void>;
}

/** Writes points in batches, one write at a time. Curves are only for display, so the points of a failed write are lost. */
export function curveWriter(pool: Pool, claim: RunClaim): CurveWriter {
  let waiting: CurvePoint[] = [];
  let writing: Promise<void> | undefined;
  const flush = async () => {
    while (waiting.length > 0) {
      const points = waiting;
      waiting = [];
      await writeCurve(pool, claim, points).catch(() => undefined);
    }
    writing = undefined;
  };
  return {
    add(name, step, value) {
      if (value === null || !Number.isFinite(value) || waiting.length >= MOST_POINTS) return;
      waiting.push({ name, step, value });
      writing ??= flush();
    },
    settled: async () => void (await writing),
  };
}

/** The curves of a run, by name and step. */
export async function readCurve(database: Queryable, runId: string): Promise<CurvePoint[]> {
  const { rows } = await database.query<{ name: string; step: string; value: number }>(
    `SELECT name, step, value FROM run_metric WHERE run_id = $1 ORDER BY name, step LIMIT ${MOST_POINTS}`,
    [runId],
  );
  return rows.map(({ name, step, value }) => ({ name, step: Number(step), value }));
}
