import type { GateSpec, Metric } from '@hotloop/model/manifest/gate-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { calibrationError } from '@hotloop/model/statistics/calibration-error.ts';
import { populationStabilityIndex } from '@hotloop/model/statistics/distances.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import { compareScores, selectRows, selectScores } from './compare-scores.ts';
import { type Compared, type GateCheck, orNull, shown } from './gate.ts';
import { type Scores, singleScores } from './measure.ts';
import { sliceRows } from './slice-rows.ts';

/** What the checks beside the metric look at. */
export interface CheckSubject {
  readonly manifest: Manifest;
  readonly metric: Metric;
  readonly spec: GateSpec;
  readonly holdout: DatasetPart;
  readonly candidate: Scores;
  readonly live: Scores;
  /** Of the model files. */
  readonly bytes: { readonly candidate: number; readonly live: number };
  /** Median time to score a batch, in milliseconds; absent where it was not measured. */
  readonly elapsed?: { readonly candidate: number; readonly live: number };
}

const SLICE_RESAMPLES = 200;
const DRIFT_BINS = 10;

/** Every check beside the metric and the baseline, in the order of the table. */
export function checkOutputs(subject: CheckSubject): GateCheck[] {
  return [
    finiteCheck(subject),
    ...sliceChecks(subject),
    ...calibrationCheck(subject),
    ...driftCheck(subject),
    sizeCheck(subject),
    ...latencyCheck(subject),
  ];
}

/**
 * The metric on the frozen holdout, whose labels corrections and training never touch: labels that were tampered with make a candidate
 * look better on the ordinary holdout, not here.
 */
export function frozenCheck(
  metric: Metric,
  { candidate, against, improvement, interval }: Compared,
  rows: number,
  drop: number,
): GateCheck {
  const isWorse = !(improvement >= -drop);
  return {
    ...{ name: 'frozen holdout', candidate: orNull(candidate), against: orNull(against), examples: rows },
    interval: Number.isFinite(interval.low) ? interval : null,
    outcome: isWorse ? 'failed' : 'passed',
    message: isWorse
      ? `${metric} on the frozen holdout is worse by ${shown(-improvement)}, more than ${drop}`
      : `no worse than by ${drop} on rows that no version learns from`,
  };
}

function finiteCheck({ candidate, holdout }: CheckSubject): GateCheck {
  const wrong = candidate.values.reduce((count, value) => count + (Number.isFinite(value) ? 0 : 1), 0);
  return {
    ...{ name: 'finite outputs', candidate: wrong, against: 0, interval: null, examples: holdout.rows },
    outcome: wrong === 0 ? 'passed' : 'failed',
    message: wrong === 0 ? 'all outputs are numbers' : `${wrong} outputs are not finite numbers`,
  };
}

function sliceChecks({ manifest, metric, spec, holdout, candidate, live }: CheckSubject): GateCheck[] {
  return spec.slices.flatMap((feature) =>
    sliceRows(manifest, feature, holdout).map(({ name, rows }): GateCheck => {
      const compared = compareScores(
        manifest,
        metric,
        selectScores(candidate, rows),
        selectScores(live, rows),
        selectRows(holdout, rows),
        { resamples: SLICE_RESAMPLES },
      );
      const { improvement, interval } = compared;
      const isJudged = rows.length >= spec.slice_examples && Number.isFinite(improvement);
      const isWorse = isJudged && improvement < -spec.slice_drop;
      return {
        ...{
          name: `slice ${name}`,
          candidate: orNull(compared.candidate),
          against: orNull(compared.against),
        },
        interval: Number.isFinite(interval.low) ? interval : null,
        examples: rows.length,
        outcome: isJudged ? (isWorse ? 'failed' : 'passed') : 'reported',
        message: isWorse
          ? `${metric} of ${name} is worse by ${shown(-improvement)}, more than ${spec.slice_drop}`
          : isJudged
            ? `no worse than by ${spec.slice_drop}`
            : `too few to judge: ${rows.length} of ${spec.slice_examples} rows, or ${metric} is undefined`,
      };
    }),
  );
}

function calibrationCheck({ manifest, spec, holdout, candidate, live }: CheckSubject): GateCheck[] {
  const error = (scores: Scores) => calibrationOf(manifest, scores, holdout);
  const [value, against] = [error(candidate), error(live)];
  if (value === null || Number.isNaN(value)) return [];
  const { calibration } = spec;
  const isTooLarge = calibration !== undefined && !(value <= calibration);
  return [
    {
      ...{ name: 'calibration', candidate: orNull(value), against: calibration ?? against, interval: null },
      examples: holdout.rows,
      outcome: calibration === undefined ? 'reported' : isTooLarge ? 'failed' : 'passed',
      message:
        `the expected calibration error is ${shown(value)}` +
        (calibration === undefined
          ? `, live ${shown(against ?? Number.NaN)}`
          : `, at most ${calibration} is allowed`),
    },
  ];
}

/** How far a sum of float32 shares may miss 0 or 1. */
const ROUNDING = 1e-5;

/** Null for tasks without probabilities, and for outputs outside [0, 1]. */
function calibrationOf(manifest: Manifest, scores: Scores, { rows, labels }: DatasetPart): number | null {
  const task = trainableTask(manifest);
  if (task === 'regression' || rows === 0) return null;
  if (scores.values.some((value) => !(value >= -ROUNDING && value <= 1 + ROUNDING))) return null;
  if (task !== 'multiclass')
    return calibrationError(
      singleScores(scores, rows),
      labels.map((label) => (label > 0.5 ? 1 : 0)),
    );
  const best = Array.from({ length: rows }, (_, row) => {
    const own = scores.values.subarray(row * scores.columns, (row + 1) * scores.columns);
    const confidence = Math.max(...own);
    return { confidence, hit: own.indexOf(confidence) === labels[row] ? 1 : 0 };
  });
  return calibrationError(
    best.map(({ confidence }) => confidence),
    best.map(({ hit }) => hit),
  );
}

function driftCheck({ spec, candidate, live, holdout }: CheckSubject): GateCheck[] {
  if (holdout.rows < DRIFT_BINS) return [];
  const [now, before] = [singleScores(candidate, holdout.rows), singleScores(live, holdout.rows)];
  const sorted = Float32Array.from(before).sort();
  const edges = [
    ...new Set(
      Array.from(
        { length: DRIFT_BINS - 1 },
        (_, bin) => sorted[Math.floor(((bin + 1) / DRIFT_BINS) * sorted.length)]!,
      ),
    ),
  ];
  const counts = (values: Float32Array) => {
    const bins = new Array<number>(edges.length + 1).fill(0);
    for (const value of values) bins[edges.filter((edge) => value >= edge).length]!++;
    return bins;
  };
  const index = populationStabilityIndex(counts(before), counts(now));
  const isTooLarge = spec.drift !== undefined && !(index <= spec.drift);
  return [
    {
      ...{ name: 'prediction drift', candidate: orNull(index), against: spec.drift ?? null, interval: null },
      examples: holdout.rows,
      outcome: spec.drift === undefined ? 'reported' : isTooLarge ? 'failed' : 'passed',
      message:
        `the population stability index of its scores against live is ${shown(index)}` +
        (spec.drift === undefined ? '' : `, at most ${spec.drift} is allowed`),
    },
  ];
}

const MB = 1_000_000;

function sizeCheck({ spec, bytes, holdout }: CheckSubject): GateCheck {
  const megabytes = bytes.candidate / MB;
  const isTooLarge = spec.megabytes !== undefined && megabytes > spec.megabytes;
  return {
    ...{ name: 'size', candidate: megabytes, against: spec.megabytes ?? bytes.live / MB, interval: null },
    examples: holdout.rows,
    outcome: spec.megabytes === undefined ? 'reported' : isTooLarge ? 'failed' : 'passed',
    message:
      `the model file has ${bytes.candidate} bytes, live ${bytes.live}` +
      (isTooLarge ? `; at most ${spec.megabytes} MB are allowed` : ''),
  };
}

function latencyCheck({ spec, elapsed, holdout }: CheckSubject): GateCheck[] {
  if (elapsed === undefined) return [];
  const ratio = elapsed.candidate / Math.max(elapsed.live, 1e-3);
  const isTooSlow = spec.latency !== undefined && ratio > spec.latency;
  return [
    {
      ...{
        name: 'latency',
        candidate: ratio,
        against: spec.latency ?? 1,
        interval: null,
        examples: holdout.rows,
      },
      outcome: spec.latency === undefined ? 'reported' : isTooSlow ? 'failed' : 'passed',
      message:
        `a batch takes ${elapsed.candidate.toFixed(2)} ms, live ${elapsed.live.toFixed(2)} ms (medians)` +
        (isTooSlow ? `; at most ${spec.latency} times as long is allowed` : ''),
    },
  ];
}
