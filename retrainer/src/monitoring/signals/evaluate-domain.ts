import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { domainDifference } from '@hotloop/model/statistics/domain-classifier.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { SAMPLED_ROWS } from '../keep-baseline.ts';
import { readSample, type SampledRows } from '../sketches/sketch-store.ts';
import { domainSignal } from './domain.ts';
import { ruleFor } from './judge-features.ts';
import type { Signal } from './signal.ts';

/** Wider rows cost seconds of a processor, and text or ids are told apart by their own sketches. */
const MAX_COLUMNS = 200;

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
  const since = now - durationMs(monitor.drift.window);
  // The last digits of a UUIDv7 are random, so their order is a sample that is the same each time.
  const { rows } = await pool.query<{ features: Buffer }>(
    `SELECT features FROM prediction WHERE model = $1 AND version = $2 AND at >= to_timestamp($3 / 1000.0)
       AND variant <> 'shadow' AND "columns" = $4 AND features IS NOT NULL AND error_code IS NULL
     ORDER BY substr(prediction_id::text, 25) LIMIT $5`,
    [name, version, since, columns, SAMPLED_ROWS],
  );
  const bytes = Buffer.concat(rows.map(({ features }) => features));
  const count = Math.min(SAMPLED_ROWS, Math.floor(bytes.length / 4 / columns));
  return {
    rows: count,
    columns,
    features: new Float32Array(new Uint8Array(bytes).buffer, 0, count * columns),
  };
}

/** Values that are missing as NaN count as 0, on both sides alike. */
const finite = ({ features }: SampledRows): Float64Array =>
  Float64Array.from(features, (value) => (Number.isFinite(value) ? value : 0));
