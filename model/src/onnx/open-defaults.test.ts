import { expect, it } from 'vitest';
import { decodeModel, encodeModel, type OnnxModel } from './model.ts';
import { MOST_DEFAULT_ELEMENTS, MOST_DEFAULTS, openDefaults } from './open-defaults.ts';
import { float32Tensor } from './tensor.ts';

/** Adds `sizes.length` vectors to x; each is an input with a default. */
function sumOf(sizes: readonly number[], irVersion = 8): Uint8Array {
  const names = sizes.map((_, index) => `d${index}`);
  const model: OnnxModel = {
    irVersion,
    producer: '',
    opsets: new Map([['', 17]]),
    metadata: new Map(),
    graph: {
      name: 'g',
      nodes: [
        {
          name: '',
          operator: 'Sum',
          domain: '',
          inputs: ['x', ...names],
          outputs: ['y'],
          attributes: new Map(),
        },
      ],
      initializers: new Map(
        sizes.map((size, index) => [names[index] ?? '', float32Tensor(new Float32Array(size))]),
      ),
      inputs: [
        { name: 'x', elementType: 'float32', shape: ['N'] },
        ...sizes.map((size, index) => ({
          name: names[index] ?? '',
          elementType: 'float32' as const,
          shape: [size],
        })),
      ],
      outputs: [{ name: 'y', elementType: 'float32', shape: null }],
    },
  };
  return encodeModel(model);
}

it('turns small defaults into inputs, and keeps large ones as constants', () => {
  const { onnx, defaults, fixed } = openDefaults(
    sumOf([1, MOST_DEFAULT_ELEMENTS, MOST_DEFAULT_ELEMENTS + 1]),
  );
  expect(defaults.map(({ spec, value }) => [spec.name, value.data.length])).toEqual([
    ['d0', 1],
    ['d1', MOST_DEFAULT_ELEMENTS],
  ]);
  expect(fixed).toEqual(['d2']);
  expect([...decodeModel(onnx).graph.initializers.keys()]).toEqual(['d2']);
  expect(decodeModel(onnx).graph.inputs.map(({ name }) => name)).toEqual(['x', 'd0', 'd1', 'd2']);
});

it('treats many of them as weights listed by an exporter, as required before IR version 4', () => {
  const many = sumOf(new Array(MOST_DEFAULTS + 1).fill(1));
  const old = sumOf([1], 3);
  for (const file of [many, old]) {
    const { onnx, defaults, fixed } = openDefaults(file);
    expect(onnx).toBe(file);
    expect(defaults).toEqual([]);
    expect(fixed.length).toBeGreaterThan(0);
  }
});

it('leaves a file without defaults unchanged', () => {
  const file = sumOf([]);
  expect(openDefaults(file)).toEqual({ onnx: file, defaults: [], fixed: [] });
});
