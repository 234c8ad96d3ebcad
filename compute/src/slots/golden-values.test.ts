import { DATATYPES, type Datatype } from '@hotloop/model/tensor.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeValues, encodeValues } from './golden-values.ts';

const RANGES: Partial<Record<Datatype, [number, number]>> = {
  UINT8: [0, 255],
  UINT16: [0, 65_535],
  UINT32: [0, 2 ** 32 - 1],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
};

/** Values that the datatype represents exactly. */
function exactly(datatype: Datatype): fc.Arbitrary<number | string | boolean> {
  const [min, max] = RANGES[datatype] ?? [];
  if (min !== undefined) return fc.integer({ min, max: max ?? 0 });
  if (datatype === 'BOOL') return fc.boolean();
  if (datatype === 'BYTES') return fc.string({ unit: 'grapheme' });
  if (datatype === 'INT64') return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
  if (datatype === 'UINT64') return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
  if (datatype === 'FP64') return fc.double({ noNaN: true, noDefaultInfinity: true });
  if (datatype === 'FP32') return fc.float({ noNaN: true, noDefaultInfinity: true });
  // At most 7 bits and a sign, scaled: exact in every 16-bit float.
  const exponent = fc.integer({ min: -6, max: 6 });
  return fc.tuple(fc.integer({ min: -127, max: 127 }), exponent).map(([whole, power]) => whole * 2 ** power);
}

describe('values of a golden example', () => {
  it.each(DATATYPES)('become bytes and the same values again: %s', (datatype) => {
    fc.assert(
      fc.property(fc.array(exactly(datatype), { maxLength: 8 }), (values) => {
        const same = decodeValues(datatype, encodeValues('x', datatype, values));
        const wanted = datatype.endsWith('INT64') ? values.map((value) => BigInt(value)) : values;
        // 0 and -0 compare as equal.
        expect(same.map(unsigned)).toEqual(wanted.map(unsigned));
      }),
    );
  });

  it('are rounded to the nearest 16-bit float, ties to even', () => {
    const half = (value: number) => decodeValues('FP16', encodeValues('x', 'FP16', [value]))[0];
    expect([1 + 2 ** -11, 1 + 3 * 2 ** -11, 0.1].map(half)).toEqual([1, 1 + 2 ** -9, 0.0999755859375]);
    const brain = (value: number) => decodeValues('BF16', encodeValues('x', 'BF16', [value]))[0];
    expect([1 + 2 ** -8, 1 + 3 * 2 ** -8, -0.1].map(brain)).toEqual([1, 1 + 2 ** -6, -0.10009765625]);
  });

  it('are read in place, aligned or not', () => {
    const padded = Buffer.concat([Buffer.of(7), encodeValues('x', 'FP32', [0.5, -2])]);
    expect(decodeValues('FP32', padded.subarray(1))).toEqual([0.5, -2]);
  });
});

function unsigned(value: unknown): unknown {
  return Object.is(value, -0) ? 0 : value;
}
