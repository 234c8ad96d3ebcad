import { FEATURE_STATUS } from '@hotloop/model/features/feature-status.ts';
import { type Manifest, manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import type { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { valueOfBin } from '@hotloop/model/statistics/value-sketch.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { groupSignals } from '@hotloop/retrainer/monitoring/incidents/incident.ts';
import { judgeLabels } from '@hotloop/retrainer/monitoring/performance/judge-labels.ts';
import { judgeQuality } from '@hotloop/retrainer/monitoring/performance/judge-quality.ts';
import type { ScoredRow } from '@hotloop/retrainer/monitoring/performance/scored-rows.ts';
import { judgeFeatures } from '@hotloop/retrainer/monitoring/signals/judge-features.ts';
import type { Signal } from '@hotloop/retrainer/monitoring/signals/signal.ts';
import { judgeTraffic } from '@hotloop/retrainer/monitoring/signals/traffic.ts';
import {
  addRows,
  FeatureSketch,
  type FeatureSketches,
  sketchLayout,
} from '@hotloop/retrainer/monitoring/sketches/feature-sketch.ts';
import { binomial, poisson } from './draws.ts';

const NUMBERS = 30;
const CATEGORIES = 10;
const MISSING = 0.01;
const TRAINING_ROWS = 10_000;
/**
 * Evaluations per day of the rolling one-day window; the monitor's own, every five minutes, differ little in between.
 */
const JUDGED_A_DAY = 2;
const DAY_MS = 24 * HOUR_MS;
const WEEK_HOURS = 168;

export const MANIFEST: Manifest = manifestSchema.parse({
  name: 'stable',
  task: 'binary',
  features: [
    ...Array.from({ length: NUMBERS }, (_v, at) => ({ name: `n${at}`, from: `request.n${at}`, missing: 0 })),
    ...Array.from({ length: CATEGORIES }, (_v, at) => ({
      ...{ name: `c${at}`, from: `request.c${at}` },
      transform: [{ one_hot: ['a', 'b', 'c', 'd', 'e'] }],
    })),
  ],
});
const LAYOUT = sketchLayout(MANIFEST);

/** Bins of the sketch with their shares: a number with 40 values, close to normal around 5. */
const VALUE_SHARES = (() => {
  const bins = Array.from({ length: 40 }, (_v, at) => new Float32Array([2.1 + at * 0.15]));
  const weights = bins.map(([value]) => Math.exp(-((value! - 5) ** 2) / 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return bins.map((value, at) => ({
    bin: new Uint32Array(value.buffer)[0]! >>> 16,
    share: weights[at]! / total,
  }));
})();
const CATEGORY_SHARES = [0.5, 0.25, 0.15, 0.07, 0.03];

/** The sketches of `n` rows, drawn from their sampling distribution: counts of bins are multinomial. */
export function drawSketches(n: number, random: SeededRandom): FeatureSketches {
  const sketches: FeatureSketches = new Map();
  for (const feature of LAYOUT.features) {
    const sketch = new FeatureSketch(feature.kind, feature.width);
    const missing = binomial(n, MISSING, random);
    sketch.rows = n;
    sketch.statuses[FEATURE_STATUS.MISSING] = missing;
    sketch.statuses[FEATURE_STATUS.FRESH] = n - missing;
    let left = n - missing;
    let rest = 1;
    if (feature.kind === 'number') {
      const { values } = sketch;
      for (const { bin, share } of VALUE_SHARES) {
        const count = binomial(left, Math.min(1, share / rest), random);
        [left, rest] = [left - count, rest - share];
        if (count > 0) values.bins.set(bin, count);
      }
      momentsOf(sketch);
    } else
      for (const [index, share] of CATEGORY_SHARES.entries()) {
        const count = binomial(left, Math.min(1, share / rest), random);
        [left, rest] = [left - count, rest - share];
        sketch.categories[index] = count;
      }
    sketches.set(feature.name, sketch);
  }
  return sketches;
}

function momentsOf({ values }: FeatureSketch): void {
  let [count, sum, squares] = [0, 0, 0];
  for (const [bin, own] of values.bins) {
    const value = valueOfBin(bin);
    count += own;
    sum += own * value;
    squares += own * value * value;
    values.min = Math.min(values.min, value);
    values.max = Math.max(values.max, value);
  }
  values.count = count;
  values.mean = count === 0 ? 0 : sum / count;
  values.squares = Math.max(0, squares - count * values.mean ** 2);
}

/** The same, row by row, through the code that reads the log. */
export function rowByRowSketches(n: number, random: SeededRandom): FeatureSketches {
  const features = new Float32Array(n * LAYOUT.width);
  const statuses = new Uint8Array(n * LAYOUT.features.length);
  for (let row = 0; row < n; row++)
    for (const [index, feature] of LAYOUT.features.entries()) {
      if (random.uniform() < MISSING) {
        statuses[row * LAYOUT.features.length + index] = FEATURE_STATUS.MISSING;
        continue;
      }
      const at = row * LAYOUT.width + feature.offset;
      if (feature.kind === 'number') features[at] = valueOfBin(pick(VALUE_SHARES, random).bin);
      else features[at + CATEGORY_SHARES.indexOf(pickShare(random))] = 1;
    }
  const sketches: FeatureSketches = new Map();
  addRows(sketches, LAYOUT, { rows: n, columns: LAYOUT.width, features, statuses });
  return sketches;
}

function pick<T extends { readonly share: number }>(choices: readonly T[], random: SeededRandom): T {
  let left = random.uniform();
  for (const choice of choices) {
    left -= choice.share;
    if (left < 0) return choice;
  }
  return choices.at(-1)!;
}

const SHARES = CATEGORY_SHARES.map((share) => ({ share }));
const pickShare = (random: SeededRandom) => pick(SHARES, random).share;

type Draw = (n: number, random: SeededRandom) => FeatureSketches;

/** Incidents that features open in one stable week at `n` rows a day. */
export function featureIncidents(n: number, random: SeededRandom, draw: Draw): number {
  const { monitor } = MANIFEST;
  const training = draw(TRAINING_ROWS, random);
  const perPart = Math.max(1, Math.round(n / JUDGED_A_DAY));
  const parts: FeatureSketches[] = [];
  // A model with few calls is evaluated by its week.
  const window = n < monitor.drift.min_rows ? 7 * JUDGED_A_DAY : JUDGED_A_DAY;
  for (let part = 0; part < window; part++) parts.push(draw(perPart, random));
  const lastWeek = draw(perPart * 7 * JUDGED_A_DAY, random);
  let open = new Set<string>();
  let opened = 0;
  for (let part = 0; part < 7 * JUDGED_A_DAY; part++) {
    parts.shift();
    parts.push(draw(perPart, random));
    const current = merged(parts);
    const shared = { layout: LAYOUT, current, monitor, maxMissing: new Map<string, number>() };
    const signals = [
      ...judgeFeatures({ ...shared, baseline: training, against: 'training' }).signals,
      ...judgeFeatures({ ...shared, baseline: lastWeek, against: 'last week' }).signals,
      // Ten minutes of the hour that just ended, as the evaluation every ten seconds sees them.
      ...judgeFeatures({
        ...{ ...shared, current: draw(Math.max(1, Math.round(n / 144)), random) },
        ...{ baseline: training, against: 'training', recent: true },
      }).signals,
    ];
    const causes = new Set(groupSignals('stable', signals).map(({ cause }) => cause));
    for (const cause of causes) if (!open.has(cause)) opened++;
    open = causes;
  }
  return opened;
}

function merged(parts: readonly FeatureSketches[]): FeatureSketches {
  const all: FeatureSketches = new Map();
  for (const feature of LAYOUT.features) {
    const sketch = new FeatureSketch(feature.kind, feature.width);
    for (const part of parts) sketch.merge(part.get(feature.name)!);
    all.set(feature.name, sketch);
  }
  return all;
}

/** Up to this many calls a day, their times are drawn one by one. */
const FEW = 2_000;

/**
 * The longest pause per hour that ends in it or continues from its start: calls are at random times within their
 * hours.
 */
function pausesOf(hours: readonly { readonly at: number; readonly calls: number }[], random: SeededRandom) {
  const longest: number[] = [0];
  let last = 0;
  for (const { at, calls } of hours) {
    const times = Array.from({ length: calls }, () => at + random.uniform() * HOUR_MS).sort((a, b) => a - b);
    let most = 0;
    for (const time of times) {
      most = Math.max(most, time - last);
      last = time;
    }
    longest.push(Math.max(most, at + HOUR_MS - last));
  }
  return longest;
}

/** The longest pause in an hour of independent calls: Gumbel distribution. */
function longestPause(calls: number, random: SeededRandom): number {
  const gumbel = -Math.log(-Math.log(Math.max(1e-12, random.uniform())));
  return (HOUR_MS / Math.max(1, calls)) * (Math.log(Math.max(1, calls)) + gumbel);
}

/** Incidents that calls open in one stable week: hours vary with the hour of the week, and by chance. */
export function trafficIncidents(n: number, random: SeededRandom): number {
  const { monitor } = MANIFEST;
  const expected = (hour: number) => (n / 24) * (1 + 0.6 * Math.sin((hour % 24) / 3.82));
  const hours = Array.from({ length: 5 * WEEK_HOURS }, (_v, at) => {
    const calls = poisson(expected(at), random);
    return { at: at * HOUR_MS, calls, errors: binomial(calls, 0.005, random) };
  });
  const pauses = n <= FEW ? pausesOf(hours, random) : [];
  let opened = 0;
  let isOpen = false;
  for (let hour = 4 * WEEK_HOURS; hour < 5 * WEEK_HOURS; hour++) {
    const now = hour * HOUR_MS + 1_000;
    const past = hours.slice(0, hour);
    const { calls } = past.at(-1)!;
    const minutes = Array.from({ length: 10 }, (_v, minute) => {
      const own = poisson(expected(hour) / 60, random);
      return { at: now - minute * 60_000, calls: own, errors: binomial(own, 0.005, random) };
    }).reverse();
    const pauseMs = n <= FEW ? pauses[hour]! : longestPause(calls, random);
    const facts = { hours: past, minutes, lastAt: now - Math.max(0, pauseMs), readTo: now };
    const signals = judgeTraffic(facts, monitor, now, 60_000);
    if (signals.length > 0 && !isOpen) opened++;
    isOpen = signals.length > 0;
  }
  return opened;
}

/**
 * Incidents that quality opens in one stable week, evaluated at its end, with all labels except those of the last
 * day.
 */
export function qualityIncidents(n: number, random: SeededRandom): number {
  const now = 30 * DAY_MS;
  const rows: ScoredRow[] = [];
  // As many as the monitor reads.
  const days = Math.min(30, 50_000 / n);
  const count = Math.round(days * n);
  for (let row = 0; row < count; row++) {
    const at = now - days * DAY_MS * (1 - row / count);
    const score = 1 / (1 + Math.exp(-(random.normal() * 1.3 - 1)));
    const label = at > now - DAY_MS ? null : random.uniform() < score ? 1 : 0;
    rows.push({ at, version: 1, score, label, predictionId: '', row: 0 });
  }
  const signals: Signal[] = [
    ...judgeQuality(rows, { metric: 'auc', monitor: MANIFEST.monitor, now }),
    ...judgeLabels('binary', rows, MANIFEST.monitor, now),
  ];
  return groupSignals('stable', signals).length;
}
