import type { Datatype } from '@hotloop/model/tensor.ts';
import { describe, expect, it } from 'vitest';
import type { ReceivedTensor } from '../runner/frames.ts';
import { splitOutputs } from './split-outputs.ts';

const output = (shape: number[], bytes: number[], datatype: Datatype = 'UINT8'): ReceivedTensor => ({
  index: 0,
  datatype,
  shape,
  contents: Uint8Array.from(bytes),
});

const works = [{ rows: 1 }, { rows: 2 }];

describe('splitting the outputs of a batch', () => {
  it('gives each request its own rows of every output', () => {
    const split = splitOutputs([output([3, 2], [1, 2, 3, 4, 5, 6]), output([3], [7, 8, 9])], works);
    expect(split?.map((outputs) => outputs.map(({ shape, contents }) => [shape, [...contents]]))).toEqual([
      [
        [
          [1, 2],
          [1, 2],
        ],
        [[1], [7]],
      ],
      [
        [
          [2, 2],
          [3, 4, 5, 6],
        ],
        [[2], [8, 9]],
      ],
    ]);
  });

  it.each([
    ['fewer rows', output([2], [1, 2])],
    ['more rows', output([4], [1, 2, 3, 4])],
    ['a fixed first dimension', output([1, 3], [1, 2, 3])],
    ['no dimension', output([], [1])],
    ['text', output([3], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'BYTES')],
  ])('splits nothing when one output has %s', (_, odd) => {
    expect(splitOutputs([output([3], [1, 2, 3]), odd], works)).toBeUndefined();
  });

  it('leaves the outputs of a single request as they are, whatever their first dimension', () => {
    const outputs = [output([], [1]), output([7], [1, 2, 3, 4, 5, 6, 7])];
    expect(splitOutputs(outputs, [{ rows: 3 }])).toEqual([outputs]);
  });
});
