import { describe, expect, it } from 'vitest';
import type { Datatype } from '../tensor.ts';
import { outputNumbers } from './output-numbers.ts';

const bytesOf = (numbers: { buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(numbers.buffer);

describe('outputNumbers', () => {
  const cases: [Datatype, Uint8Array, number[]][] = [
    ['FP32', bytesOf(Float32Array.of(0.5, -2)), [0.5, -2]],
    ['FP64', bytesOf(Float64Array.of(0.1, 1e300)), [0.1, 1e300]],
    ['INT64', bytesOf(BigInt64Array.of(-3n, 9n)), [-3, 9]],
    ['UINT64', bytesOf(BigUint64Array.of(3n, 9n)), [3, 9]],
    ['INT32', bytesOf(Int32Array.of(-3, 9)), [-3, 9]],
    ['UINT32', bytesOf(Uint32Array.of(3, 4e9)), [3, 4e9]],
    ['INT16', bytesOf(Int16Array.of(-3, 9)), [-3, 9]],
    ['UINT16', bytesOf(Uint16Array.of(3, 65_535)), [3, 65_535]],
    ['INT8', bytesOf(Int8Array.of(-3, 9)), [-3, 9]],
    ['UINT8', bytesOf(Uint8Array.of(3, 255)), [3, 255]],
    ['BOOL', bytesOf(Uint8Array.of(0, 1)), [0, 1]],
    ['FP16', bytesOf(Uint16Array.of(0x3c00, 0xc100)), [1, -2.5]],
    ['FP16', bytesOf(Uint16Array.of(0x0001, 0x8000)), [2 ** -24, -0]],
    ['BF16', bytesOf(Uint16Array.of(0x3f80, 0xc020)), [1, -2.5]],
  ];
  it.each(cases)('reads %s', (datatype, contents, expected) => {
    expect([...outputNumbers({ name: 'y', datatype, shape: [2, 1], contents })]).toEqual(expected);
  });

  it('reads bytes that are not aligned to their size', () => {
    const shifted = new Uint8Array(9);
    shifted.set(bytesOf(Float32Array.of(0.25, 0.75)), 1);
    const contents = shifted.subarray(1);
    expect([...outputNumbers({ name: 'y', datatype: 'FP32', shape: [2], contents })]).toEqual([0.25, 0.75]);
  });

  const refused: [string, Datatype, Uint8Array][] = [
    ['text', 'BYTES', new Uint8Array(8)],
    ['too few bytes', 'FP32', new Uint8Array(7)],
    ['not a number', 'FP32', bytesOf(Float32Array.of(1, Number.NaN))],
    ['infinity', 'FP16', bytesOf(Uint16Array.of(0x7c00, 0))],
  ];
  it.each(refused)('rejects %s, naming the output', (_, datatype, contents) => {
    expect(() => outputNumbers({ name: 'probability', datatype, shape: [2], contents })).toThrow(
      /output probability/,
    );
  });
});
