import type { WeightedSample } from './distances.ts';
import { HyperLogLog } from './hyperloglog.ts';

const BINS = 1 << 16;
const FLOATS = new Float32Array(1);
const BITS = new Uint32Array(FLOATS.buffer);

/** The number in the middle of a bin. A bin is the upper half of a float32: sign, exponent, seven bits of mantissa. */
export function valueOfBin(bin: number): number {
  BITS[0] = ((bin << 16) | 0x8000) >>> 0;
  // Most values in the bins of zero are exactly 0.
  return bin === 0 || bin === 0x8000 ? 0 : FLOATS[0]!;
}

/** Orders bins by the numbers they represent: the bit patterns of negative numbers are in descending order. */
const orderOf = (bin: number): number => (bin & 0x8000 ? -(bin & 0x7fff) - 1 : bin);

/**
 * A sample of float32 numbers in bounded memory: counts by bin (each at most 1/128 of its value wide, so quantiles
 * have a relative error of 1/256), exact minimum, maximum, mean and variance, estimated number of distinct values.
 * Merging is exact: the merged sketches of two parts equal the sketch of the whole.
 */
export class ValueSketch {
  count = 0;
  nonFinite = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  mean = 0;
  /** Sum of squared deviations from the mean. */
  squares = 0;
  bins: Map<number, number> = new Map();
  distinct = new HyperLogLog();

  get variance(): number {
    return this.count > 1 ? this.squares / (this.count - 1) : 0;
  }

  get deviation(): number {
    return Math.sqrt(this.variance);
  }

  /** Adds `values[start]`, `values[start + stride]`, ...: one column of a matrix. */
  addColumn(values: Float32Array, start = 0, stride = 1): void {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    const { distinct } = this;
    let [count, sum, min, max, last] = [0, 0, this.min, this.max, -1];
    for (let at = start; at < values.length; at += stride) {
      const value = values[at]!;
      if (value - value !== 0) {
        this.nonFinite++;
        continue;
      }
      count++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
      const raw = bits[at]!;
      const bin = raw >>> 16;
      if (SCRATCH[bin]!++ === 0) TOUCHED[USED.length++] = bin;
      if (raw !== last) distinct.add(raw);
      last = raw;
    }
    this.#drain();
    if (count === 0) return;
    const mean = sum / count;
    let squares = 0;
    for (let at = start; at < values.length; at += stride) {
      const gap = values[at]! - mean;
      if (gap - gap === 0) squares += gap * gap;
    }
    this.min = min;
    this.max = max;
    this.#mergeMoments(count, mean, squares);
  }

  merge(other: ValueSketch): void {
    this.nonFinite += other.nonFinite;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
    for (const [bin, count] of other.bins) this.bins.set(bin, (this.bins.get(bin) ?? 0) + count);
    this.distinct.merge(other.distinct);
    this.#mergeMoments(other.count, other.mean, other.squares);
  }

  /** The value below which a share `q` of the values is. NaN when empty. */
  quantile(q: number): number {
    if (this.count === 0) return Number.NaN;
    let left = q * this.count;
    for (const [bin, count] of this.sortedBins()) {
      left -= count;
      if (left <= 0) return Math.min(this.max, Math.max(this.min, valueOfBin(bin)));
    }
    return this.max;
  }

  /** Bins with their counts, ascending by value. */
  sortedBins(): [bin: number, count: number][] {
    return [...this.bins].sort((a, b) => orderOf(a[0]) - orderOf(b[0]));
  }

  /** As values with weights, for distances between two sketches. */
  asSample(): WeightedSample {
    const bins = this.sortedBins();
    return {
      values: Float64Array.from(bins, ([bin]) => Math.min(this.max, Math.max(this.min, valueOfBin(bin)))),
      weights: Float64Array.from(bins, ([, count]) => count),
    };
  }

  #drain(): void {
    for (let at = 0; at < USED.length; at++) {
      const bin = TOUCHED[at]!;
      this.bins.set(bin, (this.bins.get(bin) ?? 0) + SCRATCH[bin]!);
      SCRATCH[bin] = 0;
    }
    USED.length = 0;
  }

  /** Chan, Golub and LeVeque (1979). */
  #mergeMoments(count: number, mean: number, squares: number): void {
    const all = this.count + count;
    if (count === 0) return;
    const gap = mean - this.mean;
    this.squares += squares + (gap * gap * this.count * count) / all;
    this.mean += (gap * count) / all;
    this.count = all;
  }
}

// Shared by all sketches: filled and cleared within one call of addColumn.
const SCRATCH = new Uint32Array(BINS);
const TOUCHED = new Uint16Array(BINS);
const USED = { length: 0 };

export interface StoredSketch {
  readonly count: number;
  readonly nonFinite: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number;
  readonly squares: number;
  /** Bin, count, bin, count, ... */
  readonly bins: readonly number[];
  /** Registers, base64; they compress well in the store when there are few values. */
  readonly distinct: string;
}

export function storeSketch(sketch: ValueSketch): StoredSketch {
  const { count, nonFinite, mean, squares } = sketch;
  return {
    count,
    nonFinite,
    mean,
    squares,
    min: count === 0 ? null : sketch.min,
    max: count === 0 ? null : sketch.max,
    bins: [...sketch.bins].flat(),
    distinct: Buffer.from(sketch.distinct.registers).toString('base64'),
  };
}

export function restoreSketch(stored: StoredSketch): ValueSketch {
  const sketch = new ValueSketch();
  sketch.count = stored.count;
  sketch.nonFinite = stored.nonFinite;
  sketch.mean = stored.mean;
  sketch.squares = stored.squares;
  sketch.min = stored.min ?? Number.POSITIVE_INFINITY;
  sketch.max = stored.max ?? Number.NEGATIVE_INFINITY;
  for (let at = 0; at + 1 < stored.bins.length; at += 2)
    sketch.bins.set(stored.bins[at]!, stored.bins[at + 1]!);
  sketch.distinct = new HyperLogLog(new Uint8Array(Buffer.from(stored.distinct, 'base64')));
  return sketch;
}
