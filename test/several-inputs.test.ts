import { compileFeaturePlan, type FeatureInput } from '@hotloop/model/features/feature-plan.ts';
import { checkManifestFits } from '@hotloop/model/manifest/check-model.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { Tensor } from '@hotloop/model/tensor.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';

/** A small embedding: row n is [n, 10 n]. */
const table = (rows: number) =>
  float32Tensor(
    Array.from({ length: rows * 2 }, (_, at) => Math.floor(at / 2) * (at % 2 === 0 ? 1 : 10)),
    [rows, 2],
  );

function inputOf(given: {
  request?: Record<string, AttributeValue>;
  entities?: Record<string, string>;
  candidates?: { id: string; attributes: Record<string, AttributeValue> }[];
}): FeatureInput {
  return {
    request: record(given.request ?? {}),
    entities: record(given.entities ?? {}),
    candidates: (given.candidates ?? []).map(({ id, attributes }) => ({
      id,
      attributes: record(attributes),
    })),
  };
}

function runtimeTensor({ datatype, shape, contents }: Tensor): RuntimeTensor {
  const bytes = Uint8Array.from(contents).buffer;
  if (datatype === 'INT64') return new RuntimeTensor('int64', new BigInt64Array(bytes), [...shape]);
  if (datatype === 'FP32') return new RuntimeTensor('float32', new Float32Array(bytes), [...shape]);
  const texts: string[] = [];
  const buffer = Buffer.from(bytes);
  for (let at = 0; at < buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    texts.push(buffer.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return new RuntimeTensor('string', texts, [...shape]);
}

/** From model.yaml to outputs, with nothing but the plan in between. */
async function outputs(yaml: string, onnx: Uint8Array, input: FeatureInput): Promise<number[]> {
  const manifest = parseManifest(yaml);
  checkManifestFits(manifest, inspectModel(onnx));
  const { tensors } = compileFeaturePlan(manifest).run(input, [], 0);
  const session = await InferenceSession.create(onnx);
  const found = await session.run(Object.fromEntries(tensors.map((one) => [one.name, runtimeTensor(one)])));
  return Array.from(found[session.outputNames[0] ?? '']?.data as Float32Array, (one) =>
    Number(one.toFixed(4)),
  );
}

describe('nets with several inputs', () => {
  it('serve a wide-and-deep net: numbers, and ids that feed an embedding', async () => {
    const graph = new GraphBuilder();
    const wide = graph.input('wide', 'float32', ['N', 2]);
    const id = graph.input('shop_id', 'int64', ['N', 1]);
    const deep = graph.node('Gather', [graph.initializer('shops', table(4)), id], { axis: int(0) });
    const flat = graph.node('Reshape', [deep, graph.constant('flat', int64Tensor([-1, 2]))]);
    const both = graph.node('Concat', [wide, flat], { axis: int(1) });
    const weights = graph.initializer('weights', float32Tensor([0.1, 0.2, 0.01, 0.001], [4, 1]));
    graph.node('Sigmoid', [graph.node('MatMul', [both, weights])], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const yaml = `name: wide-deep
features:
  - {name: price, from: request.price, input: wide}
  - {name: visits, from: request.visits, input: wide}
  - {name: shop, from: request.shop, transform: [{id: {values: [north, south]}}], input: shop_id}
`;
    const asked = (shop: string) =>
      outputs(
        yaml,
        encodeModel(graph.build('wide-deep')),
        inputOf({ request: { price: 2, visits: 3, shop } }),
      );
    const sigmoid = (value: number) => Number((1 / (1 + Math.exp(-value))).toFixed(4));
    expect(await asked('south')).toEqual([sigmoid(0.8 + 0.02 + 0.02)]);
    expect(await asked('elsewhere')).toEqual([sigmoid(0.8)]);
  });

  it('serve a two-tower net: one row of the user against each candidate', async () => {
    const graph = new GraphBuilder();
    const user = graph.input('user_id', 'int64', ['N', 1]);
    const item = graph.input('item_id', 'int64', ['N', 1]);
    const tower = (name: string, id: string) => {
      const found = graph.node('Gather', [graph.initializer(name, table(5)), id], { axis: int(0) });
      return graph.node('Reshape', [found, graph.constant(`${name}_flat`, int64Tensor([-1, 2]))]);
    };
    const product = graph.node('Mul', [tower('users', user), tower('items', item)]);
    const ones = graph.initializer('ones', float32Tensor([1, 1], [2, 1]));
    graph.node('MatMul', [product, ones], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    const yaml = `name: two-tower
task: ranking
features:
  - {name: user, from: entity.user, transform: [{id: {values: [ada, ben]}}], input: user_id}
  - {name: item, from: item.id, transform: [{id: {values: [a, b, c]}}], input: item_id}
`;
    const candidates = ['c', 'a', 'x'].map((id) => ({ id, attributes: {} }));
    const scores = await outputs(
      yaml,
      encodeModel(graph.build('two-tower')),
      inputOf({ entities: { user: 'ben' }, candidates }),
    );
    // ben is row 2, c row 3 and a row 1; what is unknown is row 0.
    expect(scores).toEqual([2 * 3 + 20 * 30, 2 * 1 + 20 * 10, 0]);
  });

  it('serve one input per column, including texts', async () => {
    const graph = new GraphBuilder();
    const age = graph.input('age', 'float32', ['N', 1]);
    const city = graph.input('city', 'string', ['N', 1]);
    const same = graph.node('LabelEncoder', [city], LABELS, { domain: 'ai.onnx.ml' });
    graph.node('Add', [age, same], {}, { outputs: ['value'] });
    graph.output('value', 'float32', ['N', 1]);
    const yaml = `name: columns
task: regression
features:
  - {name: age, from: request.age, input: age}
  - {name: city, from: request.city, type: text, input: city}
`;
    const header = {
      opset: new Map([
        ['', 17],
        ['ai.onnx.ml', 2],
      ]),
    };
    const onnx = encodeModel(graph.build('columns', header));
    expect(await outputs(yaml, onnx, inputOf({ request: { age: 30, city: 'Köln' } }))).toEqual([530]);
    expect(await outputs(yaml, onnx, inputOf({ request: { age: 30, city: 'Ulm' } }))).toEqual([29]);
  });
});

const LABELS = {
  keys_strings: { kind: 'strings', value: ['Köln'] },
  values_floats: { kind: 'floats', value: [500] },
  default_float: { kind: 'float', value: -1 },
} as const;
