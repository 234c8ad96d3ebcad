import type { Feature, Transform } from './feature-schema.ts';
import { fnv1a32 } from './fnv1a.ts';

/** What a raw value must be: number for `number`, string for `text`, boolean for `flag`. */
export type RawType = 'number' | 'text' | 'flag';
export type RawValue = number | string | boolean;

/** Turns raw values of one feature into columns. */
export interface Encoder {
  readonly type: RawType;
  /** Columns that one value makes: the number of categories of one_hot, otherwise 1. */
  readonly width: number;
  /**
   * Writes `width` columns of `out` from `at`, which must hold zeros; the value must be of `type`. False when the
   * result is not a finite float32; then the column must not be used.
   */
  encode(value: RawValue, out: Float32Array, at: number): boolean;
}

type Step = (value: number) => number;

const FLOAT32_LIMIT = 3.4028235677973366e38;

/**
 * Compiles a feature's transforms for values of `sourceType`, or of the declared type, or of the type that the first
 * transform reads. Throws RangeError with the reason when they do not fit together or the type:
 * one_hot not last, a number's transform on text, boundaries that do not ascend.
 */
export function compileEncoder(feature: Feature, sourceType?: RawType): Encoder {
  const type = sourceType ?? feature.type ?? typeBefore(feature.transform[0]);
  if (feature.type !== undefined && feature.type !== type)
    throw new RangeError(`${feature.from} gives ${type}, not ${feature.type}`);
  const last = feature.transform.at(-1);
  const categories = typeof last === 'object' && 'one_hot' in last ? last.one_hot : undefined;
  const numeric = categories ? feature.transform.slice(0, -1) : feature.transform;
  const head = headOf(type, numeric, categories !== undefined);
  const steps = numeric.slice(head.used).map(compileStep);
  if (categories) return oneHotEncoder(type, head.toNumber, steps, categories);
  const toNumber = head.toNumber;
  if (toNumber === undefined)
    throw new RangeError('text makes no number; add one_hot or hash, or declare another type');
  return {
    type,
    width: 1,
    encode(value, out, at) {
      let number = toNumber(value);
      for (let index = 0; index < steps.length; index++) number = (steps[index] as Step)(number);
      out[at] = number;
      // Written as a comparison so that NaN fails it too.
      return Math.abs(number) < FLOAT32_LIMIT;
    },
  };
}

/** The type a feature has when it declares none: what its first transform can read. */
function typeBefore(first: Transform | undefined): RawType {
  if (typeof first !== 'object') return 'number';
  if ('hash' in first) return 'text';
  if (!('one_hot' in first)) return 'number';
  if (first.one_hot.every((category) => typeof category === 'number')) return 'number';
  return first.one_hot.every((category) => typeof category === 'boolean') ? 'flag' : 'text';
}

interface Head {
  /** Undefined: the value stays text, which only one_hot can read. */
  readonly toNumber: ((value: RawValue) => number) | undefined;
  /** How many transforms the head has taken. */
  readonly used: 0 | 1;
}

function headOf(type: RawType, numeric: readonly Transform[], thenOneHot: boolean): Head {
  const first = numeric[0];
  if (typeof first === 'object' && 'hash' in first) {
    const buckets = first.hash;
    return { toNumber: (value) => fnv1a32(String(value)) % buckets, used: 1 };
  }
  if (type === 'text') {
    if (first === undefined && thenOneHot) return { toNumber: undefined, used: 0 };
    throw new RangeError('text makes no number; its first transform must be one_hot or hash');
  }
  return { toNumber: Number, used: 0 };
}

function compileStep(transform: Transform): Step {
  if (transform === 'log1p') return (x) => (x < 0 ? -Math.log1p(-x) : Math.log1p(x));
  if (transform === 'abs') return Math.abs;
  if ('standardize' in transform) {
    const { mean, std } = transform.standardize;
    return (x) => (x - mean) / std;
  }
  if ('scale' in transform) {
    const { min, max } = transform.scale;
    if (!(min < max)) throw new RangeError('scale needs min below max');
    const length = max - min;
    return (x) => (x - min) / length;
  }
  if ('clip' in transform) {
    const [low, high] = transform.clip;
    if (low > high) throw new RangeError('clip needs its first number at or below its second');
    return (x) => (x < low ? low : x > high ? high : x);
  }
  if ('bucketize' in transform) return bucketOf(transform.bucketize);
  if ('hash' in transform) {
    const buckets = transform.hash;
    return (x) => fnv1a32(String(x)) % buckets;
  }
  throw new RangeError('one_hot must be the last transform');
}

/** Index of the bucket: how many boundaries are at or below the value. */
function bucketOf(boundaries: readonly number[]): Step {
  for (let index = 1; index < boundaries.length; index++)
    if (!((boundaries[index - 1] as number) < (boundaries[index] as number)))
      throw new RangeError('bucketize needs boundaries that ascend');
  return (x) => {
    let low = 0;
    let high = boundaries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((boundaries[middle] as number) <= x) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

/** An unknown category leaves every column at zero. */
function oneHotEncoder(
  type: RawType,
  toNumber: ((value: RawValue) => number) | undefined,
  steps: readonly Step[],
  categories: readonly RawValue[],
): Encoder {
  // A flag goes through the same numbers as everything that is not text: true is 1, false is 0.
  const columnOf = new Map<RawValue, number>();
  for (const [column, category] of categories.entries()) {
    const key = toNumber === undefined ? String(category) : numberOf(category);
    if (columnOf.has(key)) throw new RangeError(`one_hot names ${JSON.stringify(category)} twice`);
    columnOf.set(key, column);
  }
  return {
    type,
    width: categories.length,
    encode(value, out, at) {
      let key = value;
      if (toNumber !== undefined) {
        let number = toNumber(value);
        for (let index = 0; index < steps.length; index++) number = (steps[index] as Step)(number);
        key = number;
      }
      const column = columnOf.get(key);
      if (column !== undefined) out[at + column] = 1;
      return true;
    },
  };
}

function numberOf(category: RawValue): number {
  const number = typeof category === 'string' && category.trim() === '' ? Number.NaN : Number(category);
  if (Number.isNaN(number))
    throw new RangeError(`one_hot category ${JSON.stringify(category)} is not a number; declare type: text`);
  return number;
}
