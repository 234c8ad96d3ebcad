import { DATATYPES, type Datatype } from '@hotloop/model/tensor.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JsonTensor, readJsonData } from './read-json-data.ts';
import { jsonElements, parseLossless } from './rest-tensors.ts';

const BITS: Partial<Record<Datatype, number>> = {
  UINT8: 8,
  UINT16: 16,
  UINT32: 32,
  INT8: 8,
  INT16: 16,
  INT32: 32,
};

/** JSON text of elements that the datatype represents exactly. */
function exactly(datatype: Datatype): fc.Arbitrary<string> {
  const bits = BITS[datatype];
  const isSigned = datatype.startsWith('INT');
  if (bits !== undefined) {
    const min = isSigned ? -(2 ** (bits - 1)) : 0;
    return fc.integer({ min, max: min + 2 ** bits - 1 }).map(String);
  }
  if (datatype === 'INT64' || datatype === 'UINT64') {
    const min = isSigned ? -(2n ** 63n) : 0n;
    return fc.bigInt({ min, max: min + 2n ** 64n - 1n }).map(String);
  }
  const finite = { noNaN: true, noDefaultInfinity: true } as const;
  if (datatype === 'FP32') return fc.float(finite).map((value) => JSON.stringify(value));
  if (datatype === 'FP64') return fc.double(finite).map((value) => JSON.stringify(value));
  if (datatype === 'BOOL') return fc.boolean().map(String);
  return fc.string({ unit: 'grapheme' }).map((value) => JSON.stringify(value));
}

const carried = DATATYPES.filter((datatype) => datatype !== 'FP16' && datatype !== 'BF16');
const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 });

function nested(elements: readonly string[], shape: readonly number[]): string {
  const [length, ...rest] = shape;
  if (length === undefined) return elements[0] ?? '';
  const size = elements.length / length;
  const lists = Array.from({ length }, (_, index) =>
    nested(elements.slice(index * size, (index + 1) * size), rest),
  );
  return `[${lists.join()}]`;
}

/** Parses data as in a request, next to its datatype. */
function read(datatype: Datatype, shape: readonly number[], data: string): Uint8Array {
  const json = parseLossless(`{"datatype": "${datatype}", "data": ${data}}`) as { data: unknown };
  return readJsonData({ name: 'x', datatype, shape, data: json.data });
}

function message(tensor: JsonTensor): string {
  try {
    readJsonData(tensor);
    return 'taken';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('JSON data', () => {
  it.each(carried)('of %s is read without loss, flat or nested as its shape', (datatype) => {
    const cases = shapes.chain((shape) => {
      const count = shape.reduce((product, dimension) => product * dimension, 1);
      return fc.tuple(
        fc.constant(shape),
        fc.array(exactly(datatype), { minLength: count, maxLength: count }),
      );
    });
    fc.assert(
      fc.property(cases, fc.boolean(), ([shape, elements], isNested) => {
        const data = isNested ? nested(elements, shape) : `[${elements.join()}]`;
        const contents = read(datatype, shape, data);
        const answered = JSON.stringify(jsonElements({ name: 'x', datatype, shape, contents }));
        const asGiven = datatype.endsWith('INT64')
          ? `[${elements.join()}]`
          : JSON.stringify(elements.map((element) => JSON.parse(element)));
        expect(answered).toBe(asGiven);
      }),
    );
  });

  it.each(DATATYPES)('of %s is accepted unchanged or rejected with its index, whatever it is', (datatype) => {
    const anything = fc.oneof(fc.jsonValue(), fc.double(), fc.string({ unit: 'binary' }), fc.bigInt());
    fc.assert(
      fc.property(fc.array(anything, { minLength: 1, maxLength: 6 }), (data) => {
        const tensor = { name: 'x', datatype, shape: [data.length], data };
        const said = message(tensor);
        if (said !== 'taken') {
          expect(said).toMatch(/^input 'x'(: element \d+ is .*; \w+ takes |.*nested)/s);
          return;
        }
        const contents = readJsonData(tensor);
        const values = jsonElements({ ...tensor, contents }).map((value) => JSON.stringify(value));
        for (const [index, element] of data.entries()) {
          const rounded = datatype === 'FP32' ? Math.fround(Number(element)) : Number(element);
          const wanted =
            datatype === 'BOOL'
              ? String(Boolean(element))
              : datatype === 'BYTES'
                ? JSON.stringify(element)
                : typeof element === 'bigint' && !datatype.startsWith('FP')
                  ? String(element)
                  : JSON.stringify(rounded);
          expect(values[index]).toBe(wanted);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['INT8', [-129, -128, 127, 128]],
    ['INT16', [-32_769, -32_768, 32_767, 32_768]],
    ['INT32', [-(2 ** 31) - 1, -(2 ** 31), 2 ** 31 - 1, 2 ** 31]],
    ['INT64', [-(2n ** 63n) - 1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n]],
    ['UINT8', [-1, 0, 255, 256]],
    ['UINT16', [-1, 0, 65_535, 65_536]],
    ['UINT32', [-1, 0, 2 ** 32 - 1, 2 ** 32]],
    ['UINT64', [-1, 0, 2n ** 64n - 1n, 2n ** 64n]],
    ['FP32', [-3.5e38, -3.4e38, 3.4e38, 3.5e38]],
  ] as const)('of %s must be within its range', (datatype, values) => {
    const taken = values.map(
      (value) => message({ name: 'x', datatype, shape: [1], data: [value] }) === 'taken',
    );
    expect(taken).toEqual([false, true, true, false]);
  });

  it('keeps the sign of a zero where there is one', () => {
    expect([...new Float64Array(read('FP64', [1], '[-0]').slice().buffer)]).toEqual([-0]);
    expect([...read('INT8', [1], '[-0]')]).toEqual([0]);
  });

  it.each([
    ['1e18', 'INT64', 'element 0 is 1000000000000000000;'],
    ['9007199254740993.0', 'UINT64', 'element 0 is 9007199254740992;'],
    ['9007199254740992', 'INT32', 'element 0 is 9007199254740992;'],
  ] as const)(
    'is not accepted as an integer past 2^53 unless its digits are written out: %s',
    (text, datatype, said) => {
      expect(() => read(datatype, [1], `[${text}]`)).toThrow(said);
    },
  );

  it.each([
    [[2, 2], [[1, 2], [3]], 'not nested as its shape [2,2]: at depth 1, list 1 has length 1, not 2'],
    [[2, 2], [[1, 2], 3], 'at depth 1, entry 1 is not a list'],
    [[2, 2], [[1, 2, 3], [4]], 'at depth 1, list 0 has length 3, not 2'],
    [
      [1, 4],
      [
        [1, 2],
        [3, 4],
      ],
      'at depth 0, list 0 has length 2, not 1',
    ],
    [[2], [[1], [2]], 'is nested deeper than its shape [2]'],
    [[2, 2], [1, 2, [3], 4], 'element 2 is a list'],
    [[2, 2], [1, 2, 3], 'has 3 elements; its shape [2,2] has 4'],
    [[2], [], 'has 0 elements; its shape [2] has 2'],
    [[2], 1, 'has 1 element; its shape [2] has 2'],
  ])('of shape %j is rejected when it is %j', (shape, data, said) => {
    expect(message({ name: 'x', datatype: 'INT32', shape, data })).toContain(said);
  });

  it('may be a single element without a list', () => {
    expect([...readJsonData({ name: 'x', datatype: 'UINT8', shape: [], data: 7 })]).toEqual([7]);
    expect([...readJsonData({ name: 'x', datatype: 'UINT8', shape: [1], data: 7 })]).toEqual([7]);
  });
});
