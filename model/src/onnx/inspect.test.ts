import { describe, expect, it } from 'vitest';
import { inspectModel } from './inspect.ts';
import { perceptron } from './perceptron.ts';
import { branching, float, model, node, product, weight } from './testing/model-messages.ts';

describe('inspectModel', () => {
  it('describes a valid model', () => {
    const bytes = perceptron({
      inputs: 3,
      hidden: [4, 5],
      outputs: 1,
      activation: 'relu',
      head: 'sigmoid',
      seed: 1,
    });
    expect(inspectModel(bytes)).toEqual({
      inputs: [{ name: 'input', elementType: 'float32', shape: ['N', 3] }],
      outputs: [{ name: 'score', elementType: 'float32', shape: ['N', 1] }],
      withDefault: [],
      opset: 17,
      opsets: { '': 17 },
      operators: { Gemm: 3, Relu: 2, Sigmoid: 1 },
      parameterCount: 3 * 4 + 4 + 4 * 5 + 5 + 5 + 1,
      nonFinite: [],
      producer: 'hotloop',
      metadata: {},
    });
  });

  it.each<[string, Uint8Array]>([
    [
      'an initializer that is also an input, as its default',
      model({ input: ['x', 'w'].map((name) => ({ name, type: float })) }),
    ],
    ['the standard operators under their other name', model({ node: [{ ...product, domain: 'ai.onnx' }] })],
    [
      'an operator built into the runtime',
      model(
        { node: [{ ...product, domain: 'com.microsoft' }] },
        { opset_import: [{ version: 17 }, { domain: 'com.microsoft', version: 1 }] },
      ),
    ],
    [
      'a call of a function that the file defines',
      model(
        { node: [{ ...product, domain: 'own', op_type: 'f' }] },
        {
          functions: [{ domain: 'own', name: 'f', node: [node('MatMul', ['a', 'b'], ['c'])] }],
          opset_import: [{ version: 17 }, { domain: 'own', version: 1 }],
        },
      ),
    ],
    [
      'a subgraph that reads names around it',
      model({ node: [product, branching({ node: [node('Neg', ['y'], ['t'])] })] }),
    ],
  ])('accepts %s', (_title, bytes) => {
    expect(inspectModel(bytes).outputs.map(({ name }) => name)).toEqual(['y']);
  });

  it('reports weights that are not finite', () => {
    const data = new Uint8Array(Float32Array.of(1, Number.NaN, 2, 3).buffer);
    const half = { name: 'h', dims: [1], data_type: 10, int32_data: [0x7c00] };
    expect(inspectModel(model({ initializer: [{ ...weight, raw_data: data }, half] })).nonFinite).toEqual([
      'w',
      'h',
    ]);
    expect(inspectModel(model()).nonFinite).toEqual([]);
  });

  it('does not list inputs with a default as required', () => {
    const bytes = model({ input: ['x', 'w'].map((name) => ({ name, type: float })) });
    expect(inspectModel(bytes).inputs.map(({ name }) => name)).toEqual(['x']);
  });

  it('rejects more than its limits', () => {
    expect(() => inspectModel(model(), { maxBytes: 10 })).toThrow('the limit is 10');
    const nodes = Array.from({ length: 5 }, (_, i) => node('Neg', ['x'], [`n${i}`]));
    expect(() => inspectModel(model({ node: [product, ...nodes] }), { maxNodes: 5 })).toThrow(
      'more than 5 nodes',
    );
    const bytes = model(
      { node: [{ ...product, domain: 'com.microsoft' }] },
      { opset_import: [{ version: 17 }, { domain: 'com.microsoft', version: 1 }] },
    );
    expect(() => inspectModel(bytes, { domains: [] })).toThrow("foreign domain 'com.microsoft'");
  });

  it('rejects graphs that are nested too deeply', () => {
    let inner: object = {};
    for (let depth = 0; depth < 30; depth++) inner = { node: [branching(inner)] };
    expect(() => inspectModel(model(inner))).toThrow(/nested/);
  });

  it('rejects a small file that would decode into a large one', () => {
    // Field 7 (graph) of 6 MB that contains only empty fields 1 (node).
    const nodes = Buffer.alloc(6_000_000).fill(Buffer.from([0x0a, 0x00]));
    const length = Buffer.from([0x80, 0x9b, 0xee, 0x02]);
    expect(() => inspectModel(Buffer.concat([Buffer.from([0x3a]), length, nodes]))).toThrow(
      'no real model has',
    );
    const zeros = { name: 'w', dims: [3_000_000], data_type: 7, int64_data: new Array(3_000_000).fill(0) };
    expect(() => inspectModel(model({ initializer: [zeros] }))).toThrow('no real model has');
  });

  it('includes no control characters of the file in its messages', () => {
    const bytes = model({ node: [{ ...product, domain: 'evil\n\u001b[2J' }] });
    expect(() => inspectModel(bytes)).toThrow("'evil??[2J'");
  });
});
