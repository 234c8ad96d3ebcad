import type { Clock } from '@hotloop/platform/clock.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { MINUTE_MS } from '@hotloop/proto/time-units.ts';
import { sparingly } from '../../datasets/sparingly.ts';

/** Traffic of one model over one step of time. Times in milliseconds since 1970, durations in milliseconds. */
export interface TrafficPoint {
  readonly at: number;
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

export interface Traffic {
  readonly stepMs: number;
  /** Oldest first; steps without requests are zero. */
  readonly points: readonly TrafficPoint[];
}

interface TrafficRow {
  readonly model: string;
  readonly step: string;
  readonly requests: string;
  readonly errors: string;
  readonly p50: number | null;
  readonly p99: number | null;
}

// Input: first id of the window, step in milliseconds, model or null for all. Output: one row for each model and step. Effect: none. What the primary
// answered; shadow answers are no traffic.
const TRAFFIC = `
  SELECT model, floor(extract(epoch FROM at) * 1000 / $2)::bigint AS step, count(*) AS requests,
    count(error_code) AS errors,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY (queue_us + run_us) / 1000.0) AS p50,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY (queue_us + run_us) / 1000.0) AS p99
  FROM prediction WHERE prediction_id >= $1 AND variant <> 'shadow' AND ($3::text IS NULL OR model = $3)
  GROUP BY model, step`;

const STEPS = 30;

/** What a person may look at: steps of ten seconds, a minute, half an hour. */
export const TRAFFIC_WINDOWS = {
  '5m': { stepMs: 10_000, steps: 30 },
  '30m': { stepMs: MINUTE_MS, steps: STEPS },
  '1d': { stepMs: 30 * MINUTE_MS, steps: 48 },
} as const;
export type TrafficWindow = keyof typeof TRAFFIC_WINDOWS;

export interface TrafficReader {
  /** The last half hour by minutes, of every model that was asked. */
  recent(): Promise<ReadonlyMap<string, Traffic>>;
  /** One model's; null when nobody asked it in that time. */
  of(model: string, window: TrafficWindow): Promise<Traffic | null>;
}

/** Reads the prediction log; seldom when that takes long. */
export function trafficReader(pool: Pool, clock: Clock): TrafficReader {
  const recent = sparingly(() => readTraffic(pool, clock.now(), MINUTE_MS, STEPS), clock);
  const readings = new Map<string, () => Promise<Traffic | null>>();
  return {
    recent,
    of(model, window) {
      const key = `${window} ${model}`;
      const { stepMs, steps } = TRAFFIC_WINDOWS[window];
      const read = async () =>
        (await readTraffic(pool, clock.now(), stepMs, steps, model)).get(model) ?? null;
      const reading = readings.get(key) ?? sparingly(read, clock);
      readings.set(key, reading);
      return reading();
    },
  };
}

export async function readTraffic(
  pool: Pool,
  now: number,
  stepMs: number,
  steps: number,
  model: string | null = null,
): Promise<ReadonlyMap<string, Traffic>> {
  const last = Math.floor(now / stepMs);
  const first = last - steps + 1;
  const { rows } = await pool
    .query<TrafficRow>(TRAFFIC, [firstPredictionIdAt(first * stepMs), stepMs, model])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  const byModel = Map.groupBy(rows, ({ model }) => model);
  return new Map(
    [...byModel].map(([name, own]) => {
      const found = new Map(own.map((row) => [Number(row.step), row]));
      const points = Array.from({ length: steps }, (_, index) => pointOf(first + index, stepMs, found));
      return [name, { stepMs, points }] as const;
    }),
  );
}

function pointOf(step: number, stepMs: number, found: ReadonlyMap<number, TrafficRow>): TrafficPoint {
  const row = found.get(step);
  return {
    at: step * stepMs,
    requests: Number(row?.requests ?? 0),
    errors: Number(row?.errors ?? 0),
    p50Ms: row?.p50 ?? null,
    p99Ms: row?.p99 ?? null,
  };
}
