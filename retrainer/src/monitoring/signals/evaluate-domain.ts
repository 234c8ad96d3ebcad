import type { LoggedInputs } from '@hotloop/model/features/flat-rows.ts';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { domainDifference } from '@hotloop/model/statistics/domain-classifier.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import { SAMPLED_ROWS } from '../keep-baseline.ts';
import {
  type FlatLayout,
  joinedValues,
  LOGGED_INPUTS,
  loggedColumns,
  loggedValues,
} from '../logged-values.ts';
import { sketchLayout } from '../sketches/feature-sketch.ts';
import { readSample } from '../sketches/sketch-store.ts';
import { TextHashes } from '../sketches/text-hashes.ts';
import { domainSignal } from './domain.ts';
import { domainColumns } from './domain-columns.ts';
import { ruleFor } from './judge-features.ts';
import type { Signal } from './signal.ts';

/** Wider rows cost seconds of processor time. */
const MAX_COLUMNS = 200;
/** The window is sampled at this many times, so that the cost does not depend on the traffic. */
const PARTS = 40;
const ROWS_OF_A_PART = 300;

/**
 * Judges all features together: a classifier is trained to separate the rows of the judged window from training rows, and its
 * most important features are named. Finds nothing without a sample of training rows. Takes up to a second of processor time.
 */
export async function evaluateDomain(
  pool: Pool,
  { manifest, version, now }: { readonly manifest: Manifest; readonly version: number; readonly now: number },
): Promise<Signal[]> {
  const rule = ruleFor(manifest.monitor, 'domain_drift', null);
  if (rule?.off) return [];
  const columns = domainColumns(manifest);
  const width = columns.names.length;
  if (width === 0 || width > MAX_COLUMNS) return [];
  const before = await readSample(pool, manifest.name, version);
  if (!before || before.columns !== columns.from) return [];
  const today = await newestRows(pool, manifest, version, now);
  if (today.length / columns.from < manifest.monitor.drift.min_rows) return [];
  const difference = domainDifference(columns.of(before.features), columns.of(today), width);
  if (!difference) return [];
  const signal = domainSignal(difference, columns.names, 'training');
  if (!signal || signal.effect < (rule?.at_least ?? 0)) return [];
  return [{ ...signal, severity: rule?.severity ?? signal.severity }];
}

/** Flat rows spread over the judged window, at most as many as in the sample of training rows. */
async function newestRows(
  pool: Pool,
  manifest: Manifest,
  version: number,
  now: number,
): Promise<Float32Array> {
  const layout: FlatLayout = sketchLayout(manifest);
  const { width } = layout;
  const windowMs = durationMs(manifest.monitor.drift.window);
  const edges = Array.from({ length: PARTS + 1 }, (_v, part) =>
    firstPredictionIdAt(Math.round(now - windowMs + (part * windowMs) / PARTS)),
  );
  const { rows } = await pool.query<LoggedInputs>(
    `SELECT one.* FROM unnest($3::uuid[], $4::uuid[]) AS part (first_id, next_id) CROSS JOIN LATERAL (
       SELECT ${LOGGED_INPUTS} FROM prediction
       WHERE prediction_id >= part.first_id AND prediction_id < part.next_id
         AND model = $1 AND version = $2 AND variant <> 'shadow' AND "columns" = $5 AND features IS NOT NULL
         AND error_code IS NULL ORDER BY prediction_id LIMIT $6) AS one`,
    [manifest.name, version, edges.slice(0, -1), edges.slice(1), loggedColumns(layout), ROWS_OF_A_PART],
  );
  const texts = new TextHashes();
  const all = joinedValues(rows.flatMap((row) => loggedValues(row, layout, texts) ?? []));
  const found = all.length / width;
  const count = Math.min(SAMPLED_ROWS, found);
  const features = new Float32Array(count * width);
  for (let at = 0; at < count; at++) {
    const row = Math.floor((at * found) / count);
    features.set(all.subarray(row * width, (row + 1) * width), at * width);
  }
  return features;
}
