import type { MonitorSpec } from '@hotloop/model/manifest/monitor-schema.ts';
import type { SketchAt } from '../sketches/sketch-store.ts';
import { percent, ruleFor } from './judge-features.ts';
import type { Signal } from './signal.ts';

/** Smaller increases are ignored: counts of distinct rows are estimates (2 %), and rows of few features repeat by chance. */
const LEAST_RISE = 0.2;
const LEAST_ROWS = 500;

/**
 * Compares the share of repeated rows in the judged window with that of earlier hours. Repeats are counted within each hour,
 * because a longer span has more of them by chance. Pure.
 *
 * @param hours sketches of the rows' hashes, by hour.
 * @param since the beginning of the judged window.
 */
export function judgeDuplicates(
  hours: readonly SketchAt[],
  since: number,
  monitor: MonitorSpec,
): Signal | null {
  const [now, before] = [
    shareOf(hours.filter(({ at }) => at >= since)),
    shareOf(hours.filter(({ at }) => at < since)),
  ];
  const rule = ruleFor(monitor, 'duplicates', null);
  const threshold = rule?.at_least ?? LEAST_RISE;
  if (rule?.off || now.rows < LEAST_ROWS || before.rows < LEAST_ROWS) return null;
  if (now.share - before.share < threshold) return null;
  return {
    ...{ kind: 'duplicates', feature: null, source: 'rows', unit: 'share', p: null, n: now.rows },
    ...{ effect: now.share, low: now.share, high: now.share, threshold: before.share + threshold },
    severity: rule?.severity ?? 'warning',
    message: `about ${percent(now.share)} of the rows of an hour are repeats; ${percent(before.share)} before`,
  };
}

function shareOf(hours: readonly SketchAt[]): { readonly share: number; readonly rows: number } {
  let [rows, repeats] = [0, 0];
  for (const { sketch } of hours) {
    rows += sketch.rows;
    repeats += Math.max(0, sketch.rows - sketch.values.distinct.estimate());
  }
  return { share: rows === 0 ? 0 : repeats / rows, rows };
}
