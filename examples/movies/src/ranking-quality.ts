import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';

/** Share of the first ten that the viewer went on to rate. */
export function precisionAtTen(ranked: readonly string[], wanted: ReadonlySet<string>): number {
  return ranked.slice(0, 10).filter((id) => wanted.has(id)).length / 10;
}

/** Gain 1 for each film that the viewer went on to rate, discounted by log2(rank + 1), over the best possible (Järvelin and Kekäläinen, 2002). */
export function ndcgAtTen(ranked: readonly string[], wanted: ReadonlySet<string>): number {
  const discount = (rank: number) => 1 / Math.log2(rank + 2);
  const sum = (ranks: readonly number[]) => ranks.reduce((total, rank) => total + discount(rank), 0);
  const hits = ranked.slice(0, 10).flatMap((id, rank) => (wanted.has(id) ? [rank] : []));
  const best = Array.from({ length: Math.min(10, wanted.size) }, (_, rank) => rank);
  return best.length === 0 ? 0 : sum(hits) / sum(best);
}

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** The mean of paired differences with its 95 % interval by bootstrap over viewers (Efron, 1979): 2,000 draws of a fixed seed. */
export function bootstrap(differences: readonly number[], seed = 1, draws = 2000): Interval {
  const random = new SeededRandom(seed);
  const { length } = differences;
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / length;
  const means = Array.from({ length: draws }, () => {
    let sum = 0;
    for (let at = 0; at < length; at++) sum += differences[Math.floor(random.uniform() * length)] as number;
    return sum / length;
  }).sort((a, b) => a - b);
  return {
    mean: meanOf(differences),
    low: means[Math.floor(draws * 0.025)] as number,
    high: means[Math.floor(draws * 0.975)] as number,
  };
}
