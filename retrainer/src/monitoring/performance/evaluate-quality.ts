import { TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { aucStandardError } from '@hotloop/model/statistics/area-under-curve.ts';
import type { Estimate } from '@hotloop/model/statistics/estimated-performance.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { sliceRows } from '../../improve/slice-rows.ts';
import { hasOutcomes } from '../../outcomes/outcome-store.ts';
import { findVersion } from '../../registry/version-store.ts';
import type { Signal } from '../signals/signal.ts';
import { sketchLayout } from '../sketches/feature-sketch.ts';
import { sliceFeatures } from '../slices.ts';
import { judgeLabels } from './judge-labels.ts';
import { judgeQuality } from './judge-quality.ts';
import { measureQuality, type QualityMetric, qualityMetric, qualityOverTime } from './quality.ts';
import { writeQuality } from './quality-store.ts';
import { readScoredRows, readVectors, type ScoredRow } from './scored-rows.ts';

/** Plain data that can be passed to a thread. */
export interface QualityQuestion {
  readonly manifest: Manifest;
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Computes a version's quality. Rejects with the errors of the database. */
export type EvaluateQuality = (question: QualityQuestion, signal: AbortSignal) => Promise<readonly Signal[]>;

const WEEK_MS = 7 * DAY_MS;
const Z95 = 1.959963984540054;
const QUALITY_DAYS = 60;
/** Number of newest rows that are read; more would cost more without changing the result. */
const QUALITY_ROWS = 50_000;
/** Number of newest rows whose vectors are read to find their slices. */
const SLICED_ROWS = 20_000;

/**
 * Joins the newest predictions with their labels, stores quality by day and by week and slice, and judges decay, the labels, and
 * the relation between scores and labels. Takes seconds of processor time.
 */
export async function evaluateQuality(
  pool: Pool,
  { manifest, version, now }: QualityQuestion,
): Promise<Signal[]> {
  const metric = qualityMetric(manifest);
  // Without any outcome, nothing can be measured and no estimate can be calibrated.
  if (metric === null || !(await hasOutcomes(pool, manifest.name))) return [];
  // With several labels, each label is a separate row.
  const each = manifest.task === 'multilabel' ? Math.max(1, manifest.decision.labels?.length ?? 1) : 1;
  const limit = Math.ceil(QUALITY_ROWS / each);
  const scored = await readScoredRows(pool, manifest, now - QUALITY_DAYS * DAY_MS, now, limit);
  const finite = scored.rows.filter(({ score }) => Number.isFinite(score));
  const rows = await withSlices(pool, manifest, finite);
  const days = qualityOverTime(metric, rows, (at) => Math.floor(at / DAY_MS) * DAY_MS);
  const slices = [...new Set(rows.flatMap(({ slices = [] }) => slices))];
  const weeks = slices.flatMap((slice) =>
    qualityOverTime(
      metric,
      rows.filter((row) => row.slices?.includes(slice)),
      (at) => Math.floor(at / WEEK_MS) * WEEK_MS,
    ).map((week) => ({ ...week, slice })),
  );
  await writeQuality(pool, manifest.name, [...days, ...weeks]);
  const own = rows.filter((row) => row.version === version);
  const gate = await gateFigure(pool, manifest, version, metric, own);
  return [
    ...judgeQuality(own, { metric, monitor: manifest.monitor, now, gate }),
    ...judgeLabels(manifest.task, own, manifest.monitor, now),
  ];
}

/** Adds to rows the slices that they belong to. */
async function withSlices(
  pool: Pool,
  manifest: Manifest,
  rows: readonly ScoredRow[],
): Promise<readonly ScoredRow[]> {
  const wanted = sliceFeatures(manifest);
  if (wanted.length === 0 || rows.length === 0) return rows;
  const layout = sketchLayout(manifest);
  const texts = new TextTable();
  const newest = rows.slice(-SLICED_ROWS);
  const { rows: found, features } = await readVectors(pool, newest, layout, texts);
  const slices = found.map((): string[] => []);
  const part = {
    ...{ rows: found.length, columns: layout.width, features },
    ...{ inputs: layout.inputs, texts: texts.texts },
    labels: new Float32Array(0),
    weights: new Float32Array(0),
    groups: new Uint32Array(0),
  };
  for (const feature of wanted)
    for (const { name, rows: members } of sliceRows(manifest, feature, part))
      for (const row of members) slices[row]!.push(name);
  const byRow = new Map(found.map(({ predictionId, row }, at) => [`${predictionId} ${row}`, slices[at]!]));
  return rows.map((one) => {
    const own = byRow.get(`${one.predictionId} ${one.row}`);
    return own === undefined ? one : { ...one, slices: own };
  });
}

/** The standard error of a figure measured on n rows; NaN if there is none. */
function errorOf(figure: Estimate | null, n: number): number {
  return figure ? ((figure.high - figure.low) / (2 * Z95)) * Math.sqrt(figure.n / n) : Number.NaN;
}

/**
 * The gate's measurement on held-out rows, with a 95 % interval: for AUC from the expected numbers of positives and negatives
 * (Hanley and McNeil), for accuracy binomial, for log loss from the variance of later labels, for rmse as for normal errors.
 * Null if there is none.
 */
async function gateFigure(
  pool: Pool,
  manifest: Manifest,
  version: number,
  metric: QualityMetric,
  rows: readonly ScoredRow[],
): Promise<Estimate | null> {
  const { metrics } = await findVersion(pool, manifest.name, version);
  const [value, n] = [metrics[metric], metrics.held_out];
  if (value === undefined || n === undefined || n < 2) return null;
  const labelled = rows.filter(({ label }) => label !== null);
  const positives = (n * labelled.filter(({ label }) => label! > 0.5).length) / Math.max(1, labelled.length);
  const error =
    metric === 'auc'
      ? aucStandardError(value, Math.max(1, positives), Math.max(1, n - positives))
      : metric === 'accuracy'
        ? Math.sqrt((value * (1 - value)) / n)
        : metric === 'rmse'
          ? value / Math.sqrt(2 * n)
          : errorOf(measureQuality(metric, labelled), n);
  return Number.isFinite(error) ? { value, low: value - 1.96 * error, high: value + 1.96 * error, n } : null;
}
