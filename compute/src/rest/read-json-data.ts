import type { Datatype } from '@hotloop/model/tensor.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import { invalid } from '../oip/tensor-checks.ts';
import { encodeElements } from '../oip/typed-contents.ts';
import { elementCount } from '../runner/tensor-layout.ts';

/** A tensor of a JSON request. */
export interface JsonTensor {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  /** All elements in row-major order, or nested exactly as the shape; a single element may be given without a list. */
  readonly data: unknown;
}

/**
 * JSON data as a tensor's bytes. Nothing is converted: throws INVALID_ARGUMENT naming the tensor, the element's
 * index, the given value and what the datatype accepts. Only floats are rounded, to the nearest value of the
 * datatype.
 */
export function readJsonData(tensor: JsonTensor): Uint8Array {
  const { name, datatype, shape } = tensor;
  const { fits, takes } = TAKES[datatype];
  const elements = flatten(tensor);
  const wrong = elements.findIndex((element) => !fits(element));
  if (wrong >= 0)
    throw invalid(
      `input ${quoted(name)}: element ${wrong} is ${described(elements[wrong])}; ${datatype} takes ${takes}`,
    );
  const { length } = elements;
  if (length !== elementCount(shape))
    throw invalid(
      `input ${quoted(name)} has ${length} ${length === 1 ? 'element' : 'elements'}; its shape [${shape}] has ${elementCount(shape)}`,
    );
  return encodeElements(name, datatype, elements as Parameters<typeof encodeElements>[2]);
}

/** Flattens level by level, no deeper than the shape: data can be nested deeper than the call stack allows. */
function flatten({ name, shape, data }: JsonTensor): readonly unknown[] {
  if (!Array.isArray(data)) return [data];
  if (!Array.isArray(data[0])) return data;
  let level: readonly unknown[] = [data];
  for (const [axis, dimension] of shape.entries()) {
    const next: unknown[] = [];
    for (const [index, list] of level.entries()) {
      if (!Array.isArray(list) || list.length !== dimension) throw ragged(name, shape, axis, index, list);
      for (const inner of list) next.push(inner);
    }
    level = next;
  }
  if (level.some(Array.isArray))
    throw invalid(`input ${quoted(name)} is nested deeper than its shape [${shape}]`);
  return level;
}

function ragged(name: string, shape: readonly number[], axis: number, index: number, given: unknown) {
  const what = Array.isArray(given)
    ? `list ${index} has length ${given.length}, not ${shape[axis]}`
    : `entry ${index} is not a list`;
  return invalid(`input ${quoted(name)} is not nested as its shape [${shape}]: at depth ${axis}, ${what}`);
}

interface Takes {
  fits(element: unknown): boolean;
  readonly takes: string;
}

/**
 * Integers past 2^53 arrive as bigint, so that no digit is lost. Another number past 2^53 was written with an
 * exponent or fraction and is rejected.
 */
function whole(least: bigint, most: bigint): Takes {
  const fits = (element: unknown) =>
    (typeof element === 'bigint' || Number.isSafeInteger(element)) &&
    (element as number | bigint) >= least &&
    (element as number | bigint) <= most;
  return { fits, takes: `an integer from ${least} to ${most}` };
}

const signed = (bits: bigint) => whole(-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n);
const unsigned = (bits: bigint) => whole(0n, 2n ** bits - 1n);

function float(round: (value: number) => number, most: number): Takes {
  const fits = (element: unknown) =>
    (typeof element === 'number' || typeof element === 'bigint') && Number.isFinite(round(Number(element)));
  return { fits, takes: `a number from -${most} to ${most}` };
}

const NOT_IN_JSON: Takes = { fits: () => false, takes: 'only binary data, not JSON' };

const TAKES: Readonly<Record<Datatype, Takes>> = {
  BOOL: {
    fits: (element) => element === true || element === false || element === 1 || element === 0,
    takes: 'true, false, 1 or 0',
  },
  INT8: signed(8n),
  INT16: signed(16n),
  INT32: signed(32n),
  INT64: signed(64n),
  UINT8: unsigned(8n),
  UINT16: unsigned(16n),
  UINT32: unsigned(32n),
  UINT64: unsigned(64n),
  FP16: NOT_IN_JSON,
  BF16: NOT_IN_JSON,
  FP32: float(Math.fround, 3.4028234663852886e38),
  FP64: float(Number, Number.MAX_VALUE),
  BYTES: {
    fits: (element) => typeof element === 'string' && element.isWellFormed(),
    takes: 'a Unicode string',
  },
};

function described(element: unknown): string {
  if (Array.isArray(element)) return 'a list';
  if (typeof element === 'string') return `the string ${quoted(element)}`;
  if (typeof element === 'object' && element !== null) return 'an object';
  if (typeof element === 'number' && !Number.isFinite(element)) return 'out of the range of a 64-bit float';
  return String(element);
}
