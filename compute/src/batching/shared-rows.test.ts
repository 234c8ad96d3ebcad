import { describe, expect, it } from 'vitest';
import type { LoadedModel, TensorDescription } from '../runner/load-options.ts';
import { hasSharedRows, shapeKeyOf } from './shared-rows.ts';
import { ALONE } from './work-queue.ts';

type Dimension = number | string | null;

function described(...shape: Dimension[]): TensorDescription {
  return {
    name: 'x',
    datatype: 'FP32',
    shape: shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1)),
    dimensionNames: shape.map((dimension) => (typeof dimension === 'string' ? dimension : null)),
  };
}

function model(inputs: readonly Dimension[][], outputs: readonly Dimension[][]): LoadedModel {
  return {
    inputs: inputs.map((shape) => described(...shape)),
    outputs: outputs.map((shape) => described(...shape)),
  };
}

const input = (datatype: 'FP32' | 'INT8', ...shape: number[]) => ({
  datatype,
  shape,
  contents: new Uint8Array(),
});

describe('the rows of a model', () => {
  it.each<[string, boolean, LoadedModel]>([
    ['one name everywhere', true, model([['N', 2], ['N']], [['N', 'N']])],
    ['no names at all', true, model([[null, 2], [null]], [[null]])],
    ['one name next to no name', true, model([['N', 2], [null]], [[null]])],
    ['two names among the inputs', false, model([['N', 2], ['M']], [['N']])],
    ['another name in an output', true, model([['N', 2]], [['unk__1'], ['unk__2', 2]])],
    ['two names, the first of them on the second input', false, model([[null, 2], ['N'], ['M']], [['N']])],
    ['a fixed input', false, model([[1, 2], ['N']], [['N']])],
    ['a fixed output', false, model([['N', 2]], [[1]])],
    ['an output without dimensions', false, model([['N', 2]], [[]])],
    [
      'an output of text',
      false,
      { inputs: [described('N', 2)], outputs: [{ ...described('N'), datatype: 'BYTES' }] },
    ],
    [
      'an input of text',
      true,
      { inputs: [{ ...described('N'), datatype: 'BYTES' }], outputs: [described('N')] },
    ],
  ])('are shared with %s: %s', (_, expected, given) => {
    expect(hasSharedRows(given)).toBe(expected);
  });
});

describe('the shape key', () => {
  it('is equal for requests that differ only in rows, and differs for any other shape or type', () => {
    const key = shapeKeyOf([input('FP32', 2, 3), input('INT8', 2)], 2);
    expect(shapeKeyOf([input('FP32', 5, 3), input('INT8', 5)], 5)).toBe(key);
    const others = [
      shapeKeyOf([input('FP32', 2, 4), input('INT8', 2)], 2),
      shapeKeyOf([input('INT8', 2, 3), input('INT8', 2)], 2),
      shapeKeyOf([input('FP32', 2, 3), input('INT8', 2, 1)], 2),
    ];
    expect(new Set([key, ...others]).size).toBe(4);
  });

  it('is ALONE for a request whose inputs have different numbers of rows, or none', () => {
    expect(shapeKeyOf([input('FP32', 2, 3), input('INT8', 3)], 2)).toBe(ALONE);
    expect(shapeKeyOf([input('FP32', 2, 3), input('INT8')], 2)).toBe(ALONE);
    expect(shapeKeyOf([input('FP32')], 1)).toBe(ALONE);
  });
});
