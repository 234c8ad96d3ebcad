import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import { normalTwoSided } from '@hotloop/model/statistics/distributions.ts';
import { ruleFor } from '../signals/judge-features.ts';
import type { Signal } from '../signals/signal.ts';
import { estimateQuality, lossBetween, measureQuality, type QualityMetric } from './quality.ts';
import type { ScoredRow } from './scored-rows.ts';

const DAY_MS = 86_400_000;
/** Labels of the newest days are compared once there are so many. */
const LEAST_LABELS = 200;
const Z95 = 1.959963984540054;

/**
 * Decay: the newest labelled week against the version's first labels; and before labels come, what the scores of the last
 * day lead to expect. Pure.
 */
export function judgeQuality(
  metric: QualityMetric,
  rows: readonly ScoredRow[],
  monitor: MonitorSpec,
  now: number,
): Signal[] {
  const labelled = rows.filter(({ label }) => label !== null);
  const recentFrom = now - 7 * DAY_MS;
  const reference = labelled.filter(({ at }) => at < recentFrom);
  const recent = labelled.filter(({ at }) => at >= recentFrom);
  const before = measureQuality(metric, reference);
  if (!before || reference.length < LEAST_LABELS) return [];
  const signals: Signal[] = [];
  const measured = measureQuality(metric, recent);
  if (measured && recent.length >= LEAST_LABELS)
    signals.push(
      ...signalOf(
        'decay',
        metric,
        lossBetween(metric, before, measured),
        before.value,
        measured.value,
        monitor,
      ),
    );
  const newest = rows.filter(({ at, label }) => at >= now - DAY_MS && label === null);
  const estimated = estimateQuality(metric, newest, labelled);
  if (estimated && newest.length >= monitor.drift.min_rows)
    signals.push(
      ...signalOf(
        'estimated_decay',
        metric,
        lossBetween(metric, before, estimated),
        before.value,
        estimated.value,
        monitor,
      ),
    );
  return signals;
}

function signalOf(
  kind: 'decay' | 'estimated_decay',
  metric: QualityMetric,
  loss: { value: number; low: number; high: number; n: number },
  before: number,
  now: number,
  monitor: MonitorSpec,
): Signal[] {
  const rule = ruleFor(monitor, kind, null);
  const threshold = rule?.at_least ?? monitor.decay.at_least;
  // The interval is one of 95 %; an alarm has to be as unlikely by chance as those of features.
  const error = (loss.value - loss.low) / Z95;
  const p = error > 0 ? normalTwoSided(loss.value / error) : loss.value > 0 ? 0 : 1;
  if (rule?.off || loss.value < threshold || p > monitor.drift.false_alarms) return [];
  const name = kind === 'decay' ? metric : `estimated ${metric}`;
  return [
    {
      kind,
      ...{
        feature: null,
        source: 'quality',
        effect: loss.value,
        low: loss.low,
        high: loss.high,
        unit: metric,
      },
      ...{
        threshold,
        p,
        n: loss.n,
        severity: rule?.severity ?? (loss.value > 3 * threshold ? 'critical' : 'warning'),
      },
      message: `${name} fell from ${before.toFixed(3)} to ${now.toFixed(3)}`,
    },
  ];
}
