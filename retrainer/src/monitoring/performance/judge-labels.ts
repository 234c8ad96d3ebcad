import type { Task } from '@hotloop/model/manifest/manifest.ts';
import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import { fitPlatt, logLoss, plattProbability } from '@hotloop/model/statistics/calibration.ts';
import { chiSquareSurvival, normalTwoSided } from '@hotloop/model/statistics/distributions.ts';
import { driftOfCounts } from '../signals/drift.ts';
import { percent, ruleFor, short } from '../signals/judge-features.ts';
import type { Signal } from '../signals/signal.ts';
import { labelledWeeks } from './judge-quality.ts';
import type { ScoredRow } from './scored-rows.ts';

const LEAST_LABELS = 200;
/** Each class needs this many labels on both sides before its relation to the scores is compared. */
const LEAST_OF_A_CLASS = 20;
const LABEL_BINS = 10;
/** Population stability index of labels. */
const LABEL_DRIFT = 0.05;
/** Excess log loss per row, in nats; for numbers, the shift of the mean residual in standard deviations of the residuals. */
const CONCEPT_LOSS = 0.01;
const CONCEPT_SHIFT = 0.2;

type Labelled = ScoredRow & { readonly label: number };

/**
 * Finds a changed distribution of labels, and a changed relation of labels to scores (concept drift): compares the
 * newest matured week of a version with its earlier labels. Pure.
 */
export function judgeLabels(
  task: Task,
  rows: readonly ScoredRow[],
  monitor: MonitorSpec,
  now: number,
): Signal[] {
  const weeks = labelledWeeks(rows, now);
  const [before, recent] = [weeks.before as readonly Labelled[], weeks.recent as readonly Labelled[]];
  if (before.length < LEAST_LABELS || recent.length < LEAST_LABELS) return [];
  const concept =
    task === 'multiclass'
      ? conceptDrift(task, before.flatMap(asRight), recent.flatMap(asRight), monitor)
      : conceptDrift(task, before, recent, monitor);
  return [labelDrift(task, before, recent, monitor), concept].flatMap((signal) => signal ?? []);
}

/** For several classes: the probability of the predicted class, and whether it was right. */
function asRight(row: Labelled): Labelled[] {
  const score = row.probabilities?.[row.score];
  return score === undefined ? [] : [{ ...row, score, label: row.score === row.label ? 1 : 0 }];
}

function labelDrift(
  task: Task,
  before: readonly Labelled[],
  recent: readonly Labelled[],
  monitor: MonitorSpec,
): Signal | null {
  const bins = task === 'regression' ? decileBins(before) : (label: number) => Math.round(label);
  const size =
    1 + Math.max(...before.map(({ label }) => bins(label)), ...recent.map(({ label }) => bins(label)));
  // Labels with thousands of distinct values are not classes.
  if (size > 1_000) return null;
  const counts = (rows: readonly Labelled[]) => {
    const own = new Float64Array(size);
    for (const { label } of rows) own[Math.max(0, bins(label))]!++;
    return own;
  };
  const drift = driftOfCounts(counts(before), counts(recent), 'psi');
  const mean = (rows: readonly Labelled[]) => rows.reduce((sum, { label }) => sum + label, 0) / rows.length;
  const isShare = task === 'binary' || task === 'ranking' || task === 'multilabel';
  const shown = (rows: readonly Labelled[]) =>
    isShare ? `${percent(mean(rows))} positive` : `mean ${short(mean(rows))}`;
  return signalOf('label_drift', 'labels', monitor, {
    ...{ effect: drift.effect, low: drift.low, high: drift.high, p: drift.p, unit: 'psi' },
    ...{ threshold: LABEL_DRIFT, n: recent.length },
    message: `the labels are not distributed as before: ${shown(before)} before, ${shown(recent)} in the newest week`,
  });
}

function decileBins(before: readonly Labelled[]): (label: number) => number {
  const sorted = before.map(({ label }) => label).sort((a, b) => a - b);
  const edges = Array.from(
    { length: LABEL_BINS - 1 },
    (_v, at) => sorted[Math.floor(((at + 1) * sorted.length) / LABEL_BINS)]!,
  );
  return (label) => edges.filter((edge) => label >= edge).length;
}

function conceptDrift(
  task: Task,
  before: readonly Labelled[],
  recent: readonly Labelled[],
  monitor: MonitorSpec,
): Signal | null {
  if (task === 'regression') return residualShift(before, recent, monitor);
  if (task === 'tensor') return null;
  const positives = (rows: readonly Labelled[]) => rows.filter(({ label }) => label > 0.5).length;
  for (const rows of [before, recent])
    if (Math.min(positives(rows), rows.length - positives(rows)) < LEAST_OF_A_CLASS) return null;
  const fit = (rows: readonly Labelled[]) =>
    fitPlatt(
      rows.map(({ score }) => score),
      rows.map(({ label }) => label),
    );
  const [own, past, pooled] = [fit(recent), fit(before), fit([...before, ...recent])];
  // Likelihood ratio: one curve from score to label for both periods, or one for each (two parameters more).
  const statistic =
    2 * (logLoss(pooled, before) + logLoss(pooled, recent) - logLoss(past, before) - logLoss(own, recent));
  const p = chiSquareSurvival(Math.max(0, statistic), 2);
  const effect = (logLoss(past, recent) - logLoss(own, recent)) / recent.length;
  const what = task === 'multiclass' ? 'right' : 'positive';
  const expected = recent.reduce((sum, { score }) => sum + plattProbability(past, score), 0) / recent.length;
  return signalOf('concept_drift', 'quality', monitor, {
    ...{ effect, low: 0, high: effect * 2, p, unit: 'nats', threshold: CONCEPT_LOSS, n: recent.length },
    message: `the same scores mean something else now: ${percent(expected)} ${what} were to be expected of them, ${percent(positives(recent) / recent.length)} were`,
  });
}

function residualShift(
  before: readonly Labelled[],
  recent: readonly Labelled[],
  monitor: MonitorSpec,
): Signal | null {
  const moments = (rows: readonly Labelled[]) => {
    const mean = rows.reduce((sum, { score, label }) => sum + label - score, 0) / rows.length;
    const squares = rows.reduce((sum, { score, label }) => sum + (label - score - mean) ** 2, 0);
    return { mean, variance: squares / Math.max(1, rows.length - 1) };
  };
  const [past, now] = [moments(before), moments(recent)];
  const deviation = Math.sqrt(past.variance);
  const error = Math.sqrt(past.variance / before.length + now.variance / recent.length);
  if (deviation === 0 || error === 0) return null;
  const shift = now.mean - past.mean;
  const [effect, half] = [Math.abs(shift) / deviation, (1.96 * error) / deviation];
  return signalOf('concept_drift', 'quality', monitor, {
    ...{ effect, low: Math.max(0, effect - half), high: effect + half, unit: 'deviations' },
    ...{ p: normalTwoSided(shift / error), threshold: CONCEPT_SHIFT, n: recent.length },
    message: `labels lie ${short(now.mean)} above the predictions on average; ${short(past.mean)} before`,
  });
}

function signalOf(
  kind: 'label_drift' | 'concept_drift',
  source: string,
  monitor: MonitorSpec,
  found: Omit<Signal, 'kind' | 'feature' | 'source' | 'severity'>,
): Signal | null {
  const rule = ruleFor(monitor, kind, null);
  const threshold = rule?.at_least ?? found.threshold;
  if (rule?.off || found.effect < threshold || (found.p ?? 0) > monitor.drift.false_alarms) return null;
  return { ...found, kind, feature: null, source, threshold, severity: rule?.severity ?? 'warning' };
}
