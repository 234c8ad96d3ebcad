import type { Searched, SearchRange, SearchSpec } from '../manifest/search-schema.ts';
import { SeededRandom } from '../onnx/seeded-random.ts';
import type { Point, PointValue, Trial } from './trial.ts';

const WHOLE: ReadonlySet<string> = new Set(['epochs', 'batch', 'seed']);
/** Number of random trials before TPE starts. */
const STARTUP = 5;
/** Share of the ended trials that count as good. */
const GOOD = 0.25;
const CANDIDATES = 24;

/**
 * The parameters of a first-round trial: random, or by TPE (Bergstra et al., 2011): of several candidates sampled
 * near good trials, the one with the highest ratio of the densities of good and other trials. Pure: the same
 * arguments give the same point.
 */
export function drawPoint(spec: SearchSpec, seed: number, index: number, trials: readonly Trial[]): Point {
  const random = new SeededRandom(seed * 1_000_003 + index);
  const ended = trials
    .filter(({ key, loss }) => key.startsWith('0:') && loss !== null && Number.isFinite(loss))
    .sort((a, b) => a.loss! - b.loss!);
  const ranges = Object.entries(spec.ranges) as [Searched, SearchRange][];
  if (spec.method === 'random' || ended.length < STARTUP)
    return Object.fromEntries(ranges.map(([name, range]) => [name, uniformValue(range, random, name)]));
  const count = Math.max(1, Math.ceil(ended.length * GOOD));
  const [good, bad] = [ended.slice(0, count), ended.slice(count)];
  return Object.fromEntries(
    ranges.map(([name, range]) => {
      const of = (group: readonly Trial[]) =>
        group.map(({ point }) => point[name]).filter((value) => value !== undefined);
      return [name, likeliest(range, of(good), of(bad), random, name)];
    }),
  );
}

function uniformValue(range: SearchRange, random: SeededRandom, name: string): PointValue {
  if ('values' in range) return range.values[random.integer(range.values.length)]!;
  return atUnit(range, random.uniform(), name);
}

type Numbers = Extract<SearchRange, { from: number }>;

/** Maps 0..1 to the range, on its scale. */
function atUnit({ from, to, scale }: Numbers, unit: number, name: string): number {
  const value =
    scale === 'log'
      ? Math.exp(Math.log(from) + unit * (Math.log(to) - Math.log(from)))
      : from + unit * (to - from);
  const kept = Math.min(to, Math.max(from, value));
  return WHOLE.has(name) ? Math.round(kept) : Number(kept.toPrecision(6));
}

function unitOf({ from, to, scale }: Numbers, value: number): number {
  return scale === 'log'
    ? (Math.log(value) - Math.log(from)) / (Math.log(to) - Math.log(from))
    : (value - from) / (to - from);
}

function likeliest(
  range: SearchRange,
  good: readonly PointValue[],
  bad: readonly PointValue[],
  random: SeededRandom,
  name: string,
): PointValue {
  if ('values' in range) {
    // Counts with additive smoothing of one.
    const share = (group: readonly PointValue[], value: PointValue) =>
      (1 + group.filter((one) => JSON.stringify(one) === JSON.stringify(value)).length) /
      (group.length + range.values.length);
    const drawn = Array.from({ length: CANDIDATES }, () =>
      random.uniform() < 0.5 && good.length > 0
        ? good[random.integer(good.length)]!
        : range.values[random.integer(range.values.length)]!,
    );
    return best(drawn, (value) => share(good, value) / share(bad, value));
  }
  const units = (group: readonly PointValue[]) => group.map((value) => unitOf(range, Number(value)));
  const [near, far] = [units(good), units(bad)];
  const width = (count: number) => Math.max(0.05, 1 / (1 + count));
  // One kernel per trial and one over the whole range.
  const density = (group: readonly number[], unit: number) =>
    (1 +
      group.reduce(
        (sum, centre) => sum + gauss((unit - centre) / width(group.length)) / width(group.length),
        0,
      )) /
    (1 + group.length);
  const drawn = Array.from({ length: CANDIDATES }, () => {
    const kernel = random.integer(near.length + 1);
    const unit =
      kernel === near.length ? random.uniform() : near[kernel]! + random.normal() * width(near.length);
    return Math.min(1, Math.max(0, unit));
  });
  return atUnit(
    range,
    best(drawn, (unit) => density(near, unit) / density(far, unit)),
    name,
  );
}

const gauss = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

function best<T>(values: readonly T[], score: (value: T) => number): T {
  return values.reduce((top, value) => (score(value) > score(top) ? value : top));
}
