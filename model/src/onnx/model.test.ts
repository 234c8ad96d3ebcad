import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { float, GraphBuilder, int, ints, tensor } from './graph-builder.ts';
import { decodeModel, encodeModel, type OnnxModel } from './model.ts';
import { perceptron } from './perceptron.ts';
import { replaceInitializers } from './replace-initializers.ts';
import { elementCount, float32Tensor, int64Tensor, type OnnxTensor } from './tensor.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

const shape: Parameters<typeof perceptron>[0] = {
  inputs: 3,
  hidden: [4],
  outputs: 1,
  activation: 'relu',
  head: 'sigmoid',
  seed: 1,
};

/** A model that contains one of everything that the decoder supports. */
function everything(): OnnxModel {
  const branch = new GraphBuilder('branch/');
  branch.node('Identity', ['outer'], {}, { outputs: ['taken'] });
  branch.output('taken', 'float32', null);
  const graph = new GraphBuilder();
  graph.input('x', 'float32', ['N', 3, null]);
  graph.input('flag', 'bool', []);
  graph.initializer('weights', float32Tensor([1.5, -2, 3], [1, 3, 1]));
  graph.initializer('sizes', int64Tensor([9, -1]));
  graph.initializer('words', { elementType: 'string', dims: [2], data: ['a', 'ü'] });
  graph.node('Mul', ['x', 'weights'], {}, { outputs: ['outer'] });
  graph.node('Clip', ['outer', '', 'x'], { note: { kind: 'string', value: 'free text' } });
  graph.node('Gemm', ['outer', 'outer'], { alpha: float(0.5), transB: int(1), axes: ints([0, -1]) });
  graph.node('Constant', [], { value: tensor(float32Tensor([7], [])) });
  const then = { kind: 'graph', value: branch.build('branch').graph } as const;
  graph.node('If', ['flag'], { then_branch: then, else_branch: then }, { outputs: ['y'] });
  graph.output('y', 'float32', null);
  return graph.build('everything', { opset: new Map([['', 18]]), metadata: { author: 'test' } });
}

describe('a model', () => {
  it('is decoded as it was encoded', () => {
    expect(decodeModel(encodeModel(everything()))).toEqual(everything());
  });

  it('gives the same bytes for the same seed and other bytes for another seed', () => {
    expect(perceptron(shape)).toEqual(perceptron(shape));
    expect(perceptron({ ...shape, seed: 2 })).not.toEqual(perceptron(shape));
  });
});

describe('written bytes', () => {
  it('do not share their memory', () => {
    const bytes = perceptron(shape);
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    bytes.slice().fill(0);
    expect(bytes).toEqual(perceptron(shape));
  });
});

describe('a tensor', () => {
  const types = [
    ['float32', Float32Array],
    ['float64', Float64Array],
    ['float16', Uint16Array],
    ['bfloat16', Uint16Array],
    ['int8', Int8Array],
    ['uint8', Uint8Array],
    ['bool', Uint8Array],
    ['int16', Int16Array],
    ['uint16', Uint16Array],
    ['int32', Int32Array],
    ['uint32', Uint32Array],
    ['int64', BigInt64Array],
    ['uint64', BigUint64Array],
  ] as const;

  it('of any type and shape is decoded as it was encoded', () => {
    const tensors = fc
      .record({ type: fc.constantFrom(...types), dims: fc.array(fc.nat({ max: 4 }), { maxLength: 4 }) })
      .chain(({ type: [elementType, array], dims }) => {
        const bytes = elementCount(dims) * array.BYTES_PER_ELEMENT;
        return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((raw): OnnxTensor => {
          return { elementType, dims, data: new array(raw.slice().buffer) };
        });
      });
    fc.assert(
      fc.property(tensors, (value) => {
        const graph = new GraphBuilder();
        graph.initializer('t', value);
        const read = decodeModel(encodeModel(graph.build('one'))).graph.initializers.get('t')!;
        expect(read.elementType).toBe(value.elementType);
        expect(read.dims).toEqual(value.dims);
        expect(Buffer.from((read.data as Uint8Array).buffer)).toEqual(
          Buffer.from((value.data as Uint8Array).buffer),
        );
      }),
    );
  });

  it.each<[string, object, ArrayLike<number | bigint>]>([
    ['float32 in float_data', { data_type: 1, float_data: [1.5, -2] }, Float32Array.of(1.5, -2)],
    ['float64 in double_data', { data_type: 11, double_data: [0.1, 1e300] }, Float64Array.of(0.1, 1e300)],
    ['int64 in int64_data', { data_type: 7, int64_data: [-1, 2 ** 40] }, BigInt64Array.of(-1n, 2n ** 40n)],
    ['uint64 in uint64_data', { data_type: 13, uint64_data: [1, 2 ** 50] }, BigUint64Array.of(1n, 2n ** 50n)],
    ['uint32 in uint64_data', { data_type: 12, uint64_data: [1, 4294967295] }, Uint32Array.of(1, 4294967295)],
    ['int8 in int32_data', { data_type: 3, int32_data: [-7, 7] }, Int8Array.of(-7, 7)],
    ['bool in int32_data', { data_type: 9, int32_data: [1, 0] }, Uint8Array.of(1, 0)],
    [
      'float16 bits in int32_data',
      { data_type: 10, int32_data: [0x3c00, 0x8000] },
      Uint16Array.of(0x3c00, 0x8000),
    ],
  ])('is read from the field that fits its type: %s', (_title, fields, expected) => {
    const initializer = [{ name: 't', dims: [2], ...fields }];
    const bytes = encodeMessage({ ir_version: 8, graph: { initializer }, opset_import: [{ version: 17 }] });
    expect(decodeModel(bytes).graph.initializers.get('t')!.data).toEqual(expected);
  });
});

describe('replaceInitializers', () => {
  const weight = (bytes: Uint8Array) => decodeModel(bytes).graph.initializers.get('weight_2')!;

  it('changes only the named weights', () => {
    const replaced = replaceInitializers(
      perceptron(shape),
      new Map([['weight_2', float32Tensor([1, 2, 3, 4], [4, 1])]]),
    );
    expect(weight(replaced).data).toEqual(Float32Array.of(1, 2, 3, 4));
    const back = replaceInitializers(replaced, new Map([['weight_2', weight(perceptron(shape))]]));
    expect(Buffer.from(back).equals(perceptron(shape))).toBe(true);
  });

  it('keeps metadata, doc strings and fields that the schema does not know', () => {
    const message = {
      ...decodeMessage(perceptron(shape)),
      doc_string: 'kept text',
      metadata_props: [{ key: 'kept key', value: 'kept value' }],
    };
    // Field 2047 of the model, of type bytes, with the content 'unknown'.
    const tag = [(2047 << 3) | 2].flatMap((n) => [(n & 0x7f) | 0x80, n >> 7]);
    const unknown = Buffer.from([...tag, 7, ...Buffer.from('unknown')]);
    const bytes = Buffer.concat([encodeMessage(message), unknown]);
    const replaced = Buffer.from(replaceInitializers(bytes, new Map([['bias_2', float32Tensor([5])]])));
    for (const text of ['kept text', 'kept key', 'kept value'])
      expect(replaced.includes(text), text).toBe(true);
    expect(replaced.includes(unknown)).toBe(true);
  });

  it('leaves no old values next to the new ones, whichever field contained them', () => {
    const initializer = [{ name: 't', dims: [2], data_type: 1, float_data: [1, 2] }];
    const bytes = encodeMessage({ ir_version: 8, graph: { initializer }, opset_import: [{ version: 17 }] });
    const replaced = replaceInitializers(bytes, new Map([['t', float32Tensor([3, 4])]]));
    expect(decodeMessage(replaced).graph!.initializer[0]!.float_data).toEqual([]);
    expect(decodeModel(replaced).graph.initializers.get('t')!.data).toEqual(Float32Array.of(3, 4));
  });

  it('rejects names that the file does not have, and tensors of another shape or type', () => {
    const replace = (name: string, value: OnnxTensor) => () =>
      replaceInitializers(perceptron(shape), new Map([[name, value]]));
    expect(replace('wrong', float32Tensor([1]))).toThrow("no initializer 'wrong'");
    expect(replace('weight_2', float32Tensor([1, 2, 3, 4]))).toThrow('has shape [4,1]');
    expect(replace('bias_2', { elementType: 'float64', dims: [1], data: Float64Array.of(1) })).toThrow(
      'bias_2',
    );
  });
});
