import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import { adjustedForFalseDiscoveries } from '@hotloop/model/statistics/benjamini-hochberg.ts';
import { normalTwoSided } from '@hotloop/model/statistics/distributions.ts';
import type { Estimate } from '@hotloop/model/statistics/estimated-performance.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { percent, ruleFor } from '../signals/judge-features.ts';
import type { Signal } from '../signals/signal.ts';
import { estimateQuality, lossBetween, measureQuality, type QualityMetric } from './quality.ts';
import type { ScoredRow } from './scored-rows.ts';

/** Number of labels that the newest days need before they are compared. */
export const LEAST_LABELS = 200;
/** A day has not matured if its labelled share is below this fraction of the share of older days. */
const MATURE_PART = 0.5;
const Z95 = 1.959963984540054;

export interface JudgedQuality {
  readonly metric: QualityMetric;
  readonly monitor: MonitorSpec;
  readonly now: number;
  /** The gate's measurement on held-out rows at registration; if absent, the version's first labels are used. */
  readonly gate?: Estimate | null;
}

/** The labels of a version in two parts: earlier ones, and the newest week whose labels have arrived. */
export interface LabelledWeeks {
  readonly before: readonly ScoredRow[];
  readonly recent: readonly ScoredRow[];
  /** Share of the week's rows that are labelled. */
  readonly maturedShare: number;
  /** Milliseconds since 1970: later days have too few labels so far to be judged. */
  readonly maturedUntil: number;
}

/**
 * Divides labelled rows at the beginning of the newest matured week. The newest days are left out while their labelled share is
 * less than half of the usual one, because early labels differ from late ones. Pure.
 */
export function labelledWeeks(rows: readonly ScoredRow[], now: number): LabelledWeeks {
  const days = Map.groupBy(rows, ({ at }) => Math.floor((now - at) / DAY_MS));
  const shares = [...days].map(([back, own]) => ({
    back,
    share: own.filter(({ label }) => label !== null).length / own.length,
  }));
  const usual = shares.map(({ share }) => share).sort((a, b) => a - b)[Math.floor(shares.length / 2)] ?? 0;
  let skipped = 0;
  for (const { back, share } of shares.sort((a, b) => a.back - b.back)) {
    if (share >= usual * MATURE_PART) break;
    skipped = back + 1;
  }
  const maturedUntil = now - skipped * DAY_MS;
  const from = maturedUntil - 7 * DAY_MS;
  const mature = rows.filter(({ at }) => at < maturedUntil || skipped === 0);
  const week = mature.filter(({ at }) => at >= from);
  const isLabelled = ({ label }: ScoredRow) => label !== null;
  const recent = week.filter(isLabelled);
  return {
    before: mature.filter(({ at }) => at < from).filter(isLabelled),
    ...{ recent, maturedUntil, maturedShare: week.length === 0 ? 0 : recent.length / week.length },
  };
}

/**
 * Finds decay: compares the newest week of labels with the gate's measurement or the version's earlier labels, as a whole
 * and by slice; before labels arrive, uses the quality expected from the scores of the last day. Pure.
 */
export function judgeQuality(rows: readonly ScoredRow[], judged: JudgedQuality): Signal[] {
  const { metric, monitor, now, gate } = judged;
  const { before, recent, maturedShare } = labelledWeeks(rows, now);
  const earlier = before.length < LEAST_LABELS ? null : measureQuality(metric, before);
  const reference = gate ?? earlier;
  if (!reference) return [];
  const found: Finding[] = [];
  const share = `${percent(maturedShare)} of the rows have labels`;
  const than = gate ? 'as the gate measured it' : 'in earlier weeks';
  const measured = recent.length < LEAST_LABELS ? null : measureQuality(metric, recent);
  if (measured)
    found.push({
      ...{ kind: 'decay', loss: lossBetween(metric, reference, measured) },
      message: `${metric} fell from ${reference.value.toFixed(3)} ${than} to ${measured.value.toFixed(3)}; ${share}`,
    });
  const newest = rows.filter(({ at, label }) => at >= now - DAY_MS && label === null);
  const estimated = estimateQuality(metric, newest, [...before, ...recent]);
  // Compares two estimates with the same bias: both come from the estimator, not from measured labels.
  if (estimated && earlier && newest.length >= monitor.drift.min_rows)
    found.push({
      ...{ kind: 'estimated_decay', loss: lossBetween(metric, earlier, estimated) },
      message: `estimated ${metric} fell from ${earlier.value.toFixed(3)} to ${estimated.value.toFixed(3)}`,
    });
  const whole = found.flatMap((one) => signalOf(one, judged));
  return [...whole, ...sliceDecay(before, recent, judged)];
}

/** Slices that got worse than their own past, unless the whole already shows it. */
function sliceDecay(
  before: readonly ScoredRow[],
  recent: readonly ScoredRow[],
  judged: JudgedQuality,
): Signal[] {
  const { metric } = judged;
  const names = new Set(recent.flatMap(({ slices = [] }) => slices));
  const findings = [...names].flatMap((slice): Finding[] => {
    const of = (rows: readonly ScoredRow[]) => rows.filter(({ slices = [] }) => slices.includes(slice));
    const [past, now] = [of(before), of(recent)];
    if (past.length < LEAST_LABELS || now.length < LEAST_LABELS) return [];
    const [reference, measured] = [measureQuality(metric, past), measureQuality(metric, now)];
    if (!reference || !measured) return [];
    return [
      {
        ...{ kind: 'decay', slice, loss: lossBetween(metric, reference, measured) },
        message: `where ${slice}, ${metric} fell from ${reference.value.toFixed(3)} to ${measured.value.toFixed(3)}`,
      },
    ];
  });
  const adjusted = adjustedForFalseDiscoveries(findings.map(({ loss }) => chanceOf(loss)));
  return findings.flatMap((one, at) => signalOf(one, judged, adjusted[at]));
}

interface Finding {
  readonly kind: 'decay' | 'estimated_decay';
  readonly loss: Estimate;
  readonly message: string;
  readonly slice?: string;
}

/** The interval is a 95 % interval; an alarm must be as unlikely by chance as alarms about features. */
function chanceOf({ value, low }: Estimate): number {
  const error = (value - low) / Z95;
  return error > 0 ? normalTwoSided(value / error) : value > 0 ? 0 : 1;
}

function signalOf(
  { kind, loss, message, slice }: Finding,
  { metric, monitor }: JudgedQuality,
  p = chanceOf(loss),
): Signal[] {
  const rule = ruleFor(monitor, kind, null);
  const threshold = rule?.at_least ?? monitor.decay.at_least;
  if (rule?.off || loss.value < threshold || p > monitor.drift.false_alarms) return [];
  return [
    {
      ...{ kind, feature: null, source: 'quality', ...(slice === undefined ? {} : { slice }) },
      ...{ effect: loss.value, low: loss.low, high: loss.high, unit: metric, threshold, p, n: loss.n },
      severity: rule?.severity ?? (loss.value > 3 * threshold ? 'critical' : 'warning'),
      message,
    },
  ];
}
