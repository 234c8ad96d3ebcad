import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { driftOfCounts } from '@hotloop/retrainer/monitoring/signals/drift.ts';
import { judgeFeatures } from '@hotloop/retrainer/monitoring/signals/judge-features.ts';
import { baselineOf, sketchLayout } from '@hotloop/retrainer/monitoring/sketches/feature-sketch.ts';
import { type Figure, figure } from '../figure.ts';
import type { Drill } from './drill.ts';

const SEED = 14;
const FEATURES = 40;
const BINS = 10;
const WEEKS = 1_000;
const TRIALS = 60;

/**
 * What of issue 14 is simulated so far. Stable weeks are drawn as bin counts for every n: normal approximations of the
 * multinomial. Row by row simulation, silence and lost alarms are not part of it yet.
 */
export const drillMonitoring: Drill = async ({ say }) => {
  const figures: Figure[] = [];
  for (const n of [1_000, 100_000, 10_000_000]) {
    const rate = falseAlarms(n);
    say(`false alarms at n = ${n}: ${rate} per model and week`);
    figures.push(figure(`false_alarms_${n}`, [rate], { atMost: 0.1 }));
  }
  for (const [name, change] of Object.entries(CHANGES))
    figures.push(figure(`drift_found_${name}`, [foundShare(change)], { atLeast: 0.95 }));
  return figures;
};

/** Drift alarms per model and week: seven days, 40 features, each against one baseline of 100,000 rows. */
function falseAlarms(n: number): number {
  const random = new SeededRandom(SEED + n);
  const { drift } = MANIFEST.monitor;
  let alarms = 0;
  for (let week = 0; week < WEEKS; week++) {
    const baselines = Array.from({ length: FEATURES }, () => counts(100_000, random));
    for (let day = 0; day < 7; day++)
      for (const baseline of baselines) {
        const { effect, p } = driftOfCounts(baseline, counts(n, random), 'psi');
        // The least that the correction for 40 features asks for.
        if (effect >= 0.1 && p <= drift.false_alarms) alarms++;
      }
  }
  return alarms / WEEKS;
}

function counts(n: number, random: SeededRandom): Float64Array {
  const mean = n / BINS;
  return Float64Array.from({ length: BINS }, () =>
    Math.max(0, Math.round(mean + Math.sqrt(mean * (1 - 1 / BINS)) * random.normal())),
  );
}

const MANIFEST = manifestSchema.parse({
  name: 'm',
  features: [
    { name: 'price', from: 'request.price', missing: 0 },
    { name: 'month', from: 'request.month', transform: [{ one_hot: ['Jan', 'Feb', 'Mar'] }] },
  ],
});
const WIDTH = 4;

interface Change {
  readonly shift?: number;
  readonly times?: number;
  readonly swap?: boolean;
  readonly missing?: number;
}

const CHANGES: Readonly<Record<string, Change>> = {
  shift: { shift: 0.5 },
  swap: { swap: true },
  missing: { missing: 0.05 },
  unit: { times: 1000 },
  producer: { missing: 1 },
};

/** Share of days at n = 5,000 in which the change is found. */
function foundShare(change: Change): number {
  const random = new SeededRandom(SEED);
  const layout = sketchLayout(MANIFEST);
  const baseline = sketchesOf(20_000, random, {});
  let found = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const { signals } = judgeFeatures({
      ...{ layout, baseline, current: sketchesOf(5_000, random, change), monitor: MANIFEST.monitor },
      ...{ maxMissing: new Map(), against: 'training' },
    });
    if (signals.length > 0) found++;
  }
  return found / TRIALS;
}

function sketchesOf(n: number, random: SeededRandom, { shift = 0, times = 1, swap, missing = 0 }: Change) {
  const features = new Float32Array(n * WIDTH);
  const statuses = new Uint8Array(n * 2);
  for (let row = 0; row < n; row++) {
    features[row * WIDTH] = (5 + random.normal() + shift) * times;
    const month = random.uniform() < 0.6 ? 0 : random.uniform() < 0.7 ? 1 : 2;
    features[row * WIDTH + 1 + (swap ? (month + 1) % 3 : month)] = 1;
    if (random.uniform() < missing) statuses[row * 2] = 1;
  }
  return baselineOf(MANIFEST, features, n, statuses);
}
