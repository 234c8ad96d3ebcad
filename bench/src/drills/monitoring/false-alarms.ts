import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { kolmogorovSmirnov, sortedSample } from '@hotloop/model/statistics/distances.ts';
import { measureDrift } from '@hotloop/retrainer/monitoring/signals/drift.ts';
import {
  drawSketches,
  featureIncidents,
  qualityIncidents,
  rowByRowSketches,
  trafficIncidents,
} from './stable-weeks.ts';

const SEED = 14;
/** Above this, quality windows cover less than a day, and nothing is evaluated. */
const MOST_QUALITY_N = 2_000;
const CHECKED_DAYS = 60;
const CHECKED_WEEKS = 20;

/** Incidents per model and week that open although nothing changed, of all default signals, at `n` calls a day. */
export function falseAlarms(n: number, weeks: number): { readonly rate: number; readonly line: string } {
  const random = new SeededRandom(SEED + n);
  const found = { features: 0, traffic: 0, quality: 0 };
  for (let week = 0; week < weeks; week++) {
    found.features += featureIncidents(n, random, drawSketches);
    found.traffic += trafficIncidents(n, random);
    if (n <= MOST_QUALITY_N) found.quality += qualityIncidents(n, random);
  }
  const { features, traffic, quality } = found;
  return {
    rate: (features + traffic + quality) / weeks,
    line: `n = ${n}: ${features} of features, ${traffic} of calls, ${quality} of quality in ${weeks} weeks`,
  };
}

/**
 * Whether sampled sketches behave like those of rows, at n = 1,000: the smallest p-value of Kolmogorov-Smirnov tests
 * on the drift effect and its p-value over all features of many days; and the incidents of weeks of rows.
 */
export function shortcutHolds(say: (line: string) => void): number {
  const effects: Record<'drawn' | 'rows', number[]> = { drawn: [], rows: [] };
  const chances: Record<'drawn' | 'rows', number[]> = { drawn: [], rows: [] };
  for (const [kind, draw] of [
    ['drawn', drawSketches],
    ['rows', rowByRowSketches],
  ] as const) {
    const random = new SeededRandom(SEED + (kind === 'rows' ? 1 : 2));
    for (let day = 0; day < CHECKED_DAYS; day++) {
      const [before, now] = [draw(10_000, random), draw(1_000, random)];
      for (const [name, sketch] of now) {
        const { effect, p } = measureDrift(before.get(name)!, sketch, 'psi');
        effects[kind].push(effect);
        chances[kind].push(p);
      }
    }
  }
  const test = (sides: Record<'drawn' | 'rows', number[]>) =>
    kolmogorovSmirnov(sortedSample(sides.drawn), sortedSample(sides.rows)).p;
  const [effect, chance] = [test(effects), test(chances)];
  const random = new SeededRandom(SEED + 3);
  let incidents = 0;
  for (let week = 0; week < CHECKED_WEEKS; week++)
    incidents += featureIncidents(1_000, random, rowByRowSketches);
  say(
    `drawn against row by row at n = 1,000: effects agree (p = ${effect.toFixed(2)}), p-values agree (p = ${chance.toFixed(2)}); ${incidents} incidents in ${CHECKED_WEEKS} weeks of rows`,
  );
  return Math.min(effect, chance);
}
