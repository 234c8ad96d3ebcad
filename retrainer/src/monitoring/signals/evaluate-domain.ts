import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { domainDifference } from '@hotloop/model/statistics/domain-classifier.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { SAMPLED_ROWS } from '../keep-baseline.ts';
import { readSample, type SampledRows } from '../sketches/sketch-store.ts';
import { domainSignal } from './domain.ts';
import { ruleFor } from './judge-features.ts';
import type { Signal } from './signal.ts';

/** Wider rows cost seconds of a processor, and text or ids are told apart by their own sketches. */
const MAX_COLUMNS = 200;
/** The window is read at so many moments, so that a day of millions costs no more than one of thousands. */
const PARTS = 40;
const ROWS_OF_A_PART = 300;

/**
 * All features together: a classifier is trained to tell the rows of the judged window from those of the training, and what it
 * goes by is named. Without a sample of the training, nothing is found. Takes up to a second of a processor.
 */
export async function evaluateDomain(
  pool: Pool,
  { manifest, version, now }: { readonly manifest: Manifest; readonly version: number; readonly now: number },
): Promise<Signal[]> {
  const rule = ruleFor(manifest.monitor, 'domain_drift', null);
  const { width, isMatrix } = columnsOf(manifest);
  if (rule?.off || !isMatrix || width === 0 || width > MAX_COLUMNS) return [];
  const before = await readSample(pool, manifest.name, version);
  if (!before || before.columns !== width) return [];
  const today = await newestRows(pool, manifest, version, now, width);
  if (today.rows < manifest.monitor.drift.min_rows) return [];
  const difference = domainDifference(finite(before), finite(today), width);
  if (!difference) return [];
  const names = columnKeys(manifest).map(({ feature, category }) =>
    category === null ? feature : `${feature} = ${category}`,
  );
  const signal = domainSignal(difference, names, 'training');
  if (!signal || signal.effect < (rule?.at_least ?? 0)) return [];
  return [{ ...signal, severity: rule?.severity ?? signal.severity }];
}

/** Rows of the judged window, spread over it: at most as many as the sample of the training holds. */
async function newestRows(
  pool: Pool,
  { name, monitor }: Manifest,
  version: number,
  now: number,
  columns: number,
): Promise<SampledRows> {
  const windowMs = durationMs(monitor.drift.window);
  const edges = Array.from({ length: PARTS + 1 }, (_v, part) =>
    firstPredictionIdAt(Math.round(now - windowMs + (part * windowMs) / PARTS)),
  );
  const { rows } = await pool.query<{ features: Buffer }>(
    `SELECT one.features FROM unnest($3::uuid[], $4::uuid[]) AS part (first_id, next_id) CROSS JOIN LATERAL (
       SELECT features FROM prediction WHERE prediction_id >= part.first_id AND prediction_id < part.next_id
         AND model = $1 AND version = $2 AND variant <> 'shadow' AND "columns" = $5 AND features IS NOT NULL
         AND error_code IS NULL ORDER BY prediction_id LIMIT $6) AS one`,
    [name, version, edges.slice(0, -1), edges.slice(1), columns, ROWS_OF_A_PART],
  );
  const bytes = Buffer.concat(rows.map(({ features }) => features));
  const found = Math.floor(bytes.length / 4 / columns);
  const all = new Float32Array(new Uint8Array(bytes).buffer, 0, found * columns);
  const count = Math.min(SAMPLED_ROWS, found);
  const features = new Float32Array(count * columns);
  for (let at = 0; at < count; at++) {
    const row = Math.floor((at * found) / count);
    features.set(all.subarray(row * columns, (row + 1) * columns), at * columns);
  }
  return { rows: count, columns, features };
}

/** Values that are missing as NaN count as 0, on both sides alike. */
const finite = ({ features }: SampledRows): Float64Array =>
  Float64Array.from(features, (value) => (Number.isFinite(value) ? value : 0));
