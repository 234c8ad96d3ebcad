import { join } from 'node:path';
import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { judgeFeatures } from '@hotloop/retrainer/monitoring/signals/judge-features.ts';
import { baselineOf, sketchLayout } from '@hotloop/retrainer/monitoring/sketches/feature-sketch.ts';
import { type Figure, figure } from '../figure.ts';
import type { Drill } from './drill.ts';
import { deliverAlarms } from './monitoring/alarm-delivery.ts';
import { estimateError, MONTHS, readSessions, sessionsByMonth } from './monitoring/estimate-error.ts';
import { shortcutHolds } from './monitoring/false-alarms.ts';
import { falseAlarmsInThread } from './monitoring/false-alarms-thread.ts';

const SEED = 14;
const TRIALS = 60;
const DAYS = [50, 1_000, 100_000, 10_000_000] as const;

/** The figures of issue 14, except those of `bench monitoring`; without a data folder, `estimate_error` is skipped. */
export const drillMonitoring: Drill = async ({ say, data, down, weeks }) => {
  const figures: Figure[] = [];
  // The simulated weeks run in threads, and the alarms mostly wait: together they end within twenty minutes on two
  // cores.
  const timed = Promise.withResolvers<void>();
  const delivered = deliverAlarms(down, say, timed.resolve);
  const simulated = Promise.race([timed.promise, delivered]).then(() =>
    Promise.all(DAYS.map((n) => falseAlarmsInThread({ n, weeks }, say))),
  );
  simulated.catch(() => undefined);
  delivered.catch(() => undefined);

  const found = Object.entries(CHANGES).map(([name, change]) => ({ name, share: foundShare(change) }));
  say(`found: ${found.map(({ name, share }) => `${name} ${share}`).join(', ')}`);
  const worst = Math.min(...found.map(({ share }) => share));
  figures.push(figure('drift_found', [worst], { atLeast: 0.95 }));

  if (data === undefined) say('estimate_error is skipped: --data names no folder');
  else {
    const months = sessionsByMonth(await readSessions(join(data, SESSIONS)));
    for (const { at, rows, measured, estimated } of months)
      say(`${MONTHS[at]}: ${rows} sessions, AUC ${shown(measured)}, estimated before ${shown(estimated)}`);
    const { mean, given, months: count } = estimateError(months);
    say(`an estimate is given in ${given} of ${count} months`);
    figures.push(figure('estimate_error', [mean], { atMost: 0.02 }));
  }

  const { silenceS, lost, doubled, transitions } = await delivered;
  say(`${transitions} incident transitions were to be delivered`);
  figures.push(figure('silence_s', [silenceS], { atMost: 120 }));
  figures.push(
    figure('alarms_lost', [lost], { atMost: 0 }),
    figure('alarms_doubled', [doubled], { atMost: 0 }),
  );
  figures.push(figure('false_alarms', [Math.max(...(await simulated))], { atMost: 0.1 }));
  shortcutHolds(say);
  return figures;
};

const SESSIONS = 'online_shoppers_intention.csv';
const shown = (one: { readonly value: number } | null) => (one ? one.value.toFixed(3) : 'none');

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

/** Share of days at n = 5,000 on which the change is detected. */
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
