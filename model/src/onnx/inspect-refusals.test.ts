import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { inspectModel } from './inspect.ts';
import { perceptron } from './perceptron.ts';
import { SeededRandom } from './seeded-random.ts';
import {
  branching,
  constant,
  external,
  float,
  model,
  node,
  product,
  raw,
  weight,
} from './testing/model-messages.ts';
import { encodeMessage } from './wire.ts';

describe('inspectModel', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['no bytes', new Uint8Array(), /empty/],
    ['text', Buffer.from('this is not a model'), /not an ONNX file/],
    ['a pickle', Buffer.from('80049595000000', 'hex'), /not an ONNX file|no graph/],
    ['a file without graph', encodeMessage({ ir_version: 8 }), /no graph/],
    ['a truncated file', model().subarray(0, -20), /not an ONNX file/],
    [
      'standard operators without their operator set',
      model({}, { opset_import: [{ domain: 'ai.onnx.ml', version: 3 }] }),
      /domain '', whose operator set the file does not import/,
    ],
    ['no operator set at all', model({}, { opset_import: [] }), /imports no operator set/],
    ['a training algorithm', model({}, { training_info: [{ algorithm: {} }] }), /training algorithm/],
    [
      'external data of an initializer',
      model({ initializer: [{ ...weight, ...external }] }),
      /'w' keeps its data in another file/,
    ],
    [
      'external data named without its flag',
      model({ initializer: [{ ...weight, external_data: external.external_data }] }),
      /another file/,
    ],
    [
      'external data flagged without a name',
      model({ initializer: [{ ...weight, data_location: 1 }] }),
      /another file/,
    ],
    [
      'external data of an attribute',
      model({ node: [product, constant({ name: 'c', dims: [1], data_type: 1, ...external })] }),
      /another file/,
    ],
    [
      'external data of a sparse initializer',
      model({ sparse_initializer: [{ dims: [4], values: { ...weight, name: 's', ...external } }] }),
      /another file/,
    ],
    [
      'external data of sparse indices',
      model({ sparse_initializer: [{ dims: [4], values: weight, indices: { ...weight, ...external } }] }),
      /another file/,
    ],
    [
      'external data of a sparse attribute',
      model({
        node: [
          product,
          node('Constant', [], ['c'], {
            attribute: [{ name: 'sparse_value', type: 11, sparse_tensor: { values: external } }],
          }),
        ],
      }),
      /another file/,
    ],
    [
      'external data in a subgraph',
      model({ node: [product, branching({ initializer: [{ ...weight, ...external }] })] }),
      /another file/,
    ],
    [
      'external data in a function',
      model(
        {},
        {
          functions: [
            { name: 'f', domain: 'own', node: [constant({ dims: [1], data_type: 1, ...external })] },
          ],
        },
      ),
      /another file/,
    ],
    [
      'external data in a list of tensors',
      model({
        node: [
          product,
          node('Odd', [], ['c'], {
            attribute: [{ name: 'all', type: 9, tensors: [weight, { ...weight, ...external }] }],
          }),
        ],
      }),
      /another file/,
    ],
    ['a foreign domain', model({ node: [{ ...product, domain: 'evil.ops' }] }), /foreign domain 'evil.ops'/],
    [
      'a foreign domain in a subgraph',
      model({ node: [product, branching({ node: [node('Run', [], ['t'], { domain: 'evil.ops' })] })] }),
      /foreign domain/,
    ],
    [
      'a foreign domain in a function',
      model(
        {},
        { functions: [{ name: 'f', domain: 'own', node: [node('Run', [], ['t'], { domain: 'evil.ops' })] }] },
      ),
      /foreign domain/,
    ],
    [
      'a domain that is not imported',
      model({ node: [{ ...product, domain: 'com.microsoft' }] }),
      /does not import/,
    ],
    [
      'too few bytes',
      model({ initializer: [{ ...weight, raw_data: raw(3) }] }),
      /'w' contains 12 bytes, but its shape \[2,2\] of float32 needs 16/,
    ],
    ['too many bytes', model({ initializer: [{ ...weight, raw_data: raw(5) }] }), /contains 20 bytes/],
    [
      'too few values',
      model({ initializer: [{ name: 'w', dims: [2, 2], data_type: 1, float_data: [1] }] }),
      /contains 1 values/,
    ],
    ['no values', model({ initializer: [{ name: 'w', dims: [2, 2], data_type: 1 }] }), /contains 0 values/],
    [
      'an absurd tensor without values',
      model({ initializer: [{ name: 'w', dims: [2 ** 40, 2 ** 40], data_type: 1 }] }),
      /more elements than any real model/,
    ],
    ['a negative dimension', model({ initializer: [{ ...weight, dims: [-2, -2] }] }), /negative dimension/],
    [
      'an unknown element type',
      model({ initializer: [{ ...weight, data_type: 99 }] }),
      /unknown element type 99/,
    ],
    ['a segment', model({ initializer: [{ ...weight, segment: { begin: 0, end: 1 } }] }), /segment/],
    ['a repeated initializer', model({ initializer: [weight, weight] }), /'w' twice/],
    ['a name that nothing defines', model({ initializer: [] }), /reads 'w', which nothing defines/],
    [
      'nodes in the wrong order',
      model({ node: [node('Neg', ['y'], ['z']), product] }),
      /wrong order or form a cycle/,
    ],
    [
      'a cycle',
      model({ node: [node('Add', ['x', 'b'], ['a']), node('Neg', ['a'], ['b']), product] }),
      /wrong order or form a cycle/,
    ],
    ['a node that reads itself', model({ node: [node('Add', ['x', 'y'], ['y'])] }), /cycle/],
    [
      'a name defined by two nodes',
      model({ node: [product, product] }),
      /'product' defines the name 'y', which is already defined/,
    ],
    [
      'a node that defines an input',
      model({ node: [product, node('Neg', ['x'], ['x'])] }),
      /'x', which is already defined/,
    ],
    [
      'an output that nothing produces',
      model({ output: [{ name: 'other', type: float }] }),
      /nothing produces the output 'other'/,
    ],
    [
      'a repeated output',
      model({
        output: [
          { name: 'y', type: float },
          { name: 'y', type: float },
        ],
      }),
      /declared twice/,
    ],
    ['no output', model({ output: [] }), /no output/],
    [
      'a subgraph that reads what is defined after it',
      model({ node: [branching({ node: [node('Neg', ['y'], ['t'])] }), product] }),
      /reads 'y'/,
    ],
    ['a node without operator', model({ node: [product, node('', ['x'], ['z'])] }), /names no operator/],
    [
      'a repeated attribute',
      model({ node: [{ ...product, attribute: [1, 2].map((i) => ({ name: 'a', type: 2, i })) }] }),
      /'a' twice/,
    ],
    [
      'an output that is not a tensor',
      model({ output: [{ name: 'y', type: { map_type: { key_type: 7 } } }] }),
      /'y' is not a tensor.*ZipMap/,
    ],
    [
      'an absurd input',
      model({
        input: [
          { name: 'x', type: { tensor_type: { elem_type: 1, shape: { dim: [{ dim_value: 2 ** 50 }] } } } },
        ],
      }),
      /absurd shape/,
    ],
  ])('refuses %s', (_title, bytes, message) => {
    expect(() => inspectModel(bytes)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });

  it('returns a description or throws a coded error for every damaged file, never anything else', () => {
    const random = new SeededRandom(20240607);
    const whole = perceptron({
      inputs: 4,
      hidden: [8],
      outputs: 2,
      activation: 'tanh',
      head: 'softmax',
      seed: 1,
    });
    let refused = 0;
    for (let i = 0; i < 4000; i++) {
      const damaged = whole.slice(0, random.uniform() < 0.2 ? random.integer(whole.length) : whole.length);
      for (let flips = 1 + random.integer(4); flips > 0 && damaged.length > 0; flips--) {
        damaged[random.integer(damaged.length)] = random.integer(256);
      }
      try {
        inspectModel(damaged);
      } catch (error) {
        expect(error, `mutant ${i}`).toBeInstanceOf(HotloopError);
        expect((error as HotloopError).code, `mutant ${i}`).toBe('INVALID_ARGUMENT');
        refused++;
      }
    }
    // Most damage is detected. Damage to weights is not, which is why bundles have a digest.
    expect(refused).toBeGreaterThan(2000);
    expect(refused).toBeLessThan(3900);
  });

  it('rejects a file truncated at any position', () => {
    const whole = perceptron({
      inputs: 2,
      hidden: [],
      outputs: 1,
      activation: 'relu',
      head: 'none',
      seed: 1,
    });
    // The last fields are the operator set and the producer's name: truncated between these fields, the file may
    // still be valid.
    const sound: number[] = [];
    for (let length = 0; length < whole.length; length++) {
      try {
        inspectModel(whole.subarray(0, length));
        sound.push(length);
      } catch (error) {
        expect((error as HotloopError).code).toBe('INVALID_ARGUMENT');
      }
    }
    expect(sound).toEqual([]);
  });
});
