import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { initialNetwork, NETWORK_KINDS, type NetworkShape } from '@hotloop/model/onnx/initial-networks.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { featureNetwork } from '@hotloop/model/training/feature-network.ts';
import { describe, expect, it } from 'vitest';
import { train } from './train.ts';

const shape = (kind: NetworkShape['kind']): NetworkShape => ({
  kind,
  inputs: 6,
  userInputs: 3,
  hidden: [8],
  activation: 'relu',
  factors: 4,
  head: 'sigmoid',
  seed: 1,
});

describe('an untrained network', () => {
  it.each(NETWORK_KINDS)('learns: %s', async (kind) => {
    const random = new SeededRandom(2);
    const rows = 400;
    const features = Float32Array.from({ length: rows * 6 }, () => random.normal());
    // Half a sum, half a product of a user's and an item's column.
    const labels = Float32Array.from({ length: rows }, (_, row) => {
      const x = features.subarray(6 * row, 6 * row + 6);
      return x[0]! * x[3]! + (kind === 'two-tower' ? 0 : x[1]!) > 0 ? 1 : 0;
    });
    const data = { rows, columns: 6, features, labels, weights: new Float32Array(rows).fill(1) };
    expect(inspectModel(initialNetwork(shape(kind))).outputs).toHaveLength(1);
    const { metrics } = await train(initialNetwork(shape(kind)), data, {
      loss: 'binary_cross_entropy',
      optimizer: { kind: 'adam' },
      learningRate: 0.02,
      trainable: 'all',
      epochs: 20,
      batch: 32,
      seed: 1,
      validationFraction: 0,
    });
    expect(metrics.loss).toBeLessThan(kind === 'logistic' ? 0.65 : 0.55);
  });
});

describe('an untrained network of several inputs', () => {
  const manifest = (kind: string) =>
    parseManifest(`name: m
task: ranking
features:
  - {name: user, from: request.user, transform: [{id: {buckets: 8}}], input: user_ids}
  - {name: item, from: item.id, transform: [{id: {values: [a, b, c, d]}}], input: item_ids}
  - {name: price, from: item.price, input: numbers}
  - {name: age, from: request.age, input: numbers}
training: {network: {kind: ${kind}, factors: 4, hidden: [8]}}
`);
  const inputs = [
    { name: 'user_ids', dtype: 'int64', width: 1, shape: [1] },
    { name: 'item_ids', dtype: 'int64', width: 1, shape: [1] },
    { name: 'numbers', dtype: 'float32', width: 2, shape: [2] },
  ] as const;

  it.each(NETWORK_KINDS)('learns which user likes which item, at prices of any size: %s', async (kind) => {
    const random = new SeededRandom(3);
    const rows = 400;
    // The columns of a factorization machine are squared, so that their units cannot be folded into its weights.
    const isLarge = kind !== 'factorization-machine';
    const features = Float32Array.from({ length: rows * 4 }, (_, at) =>
      at % 4 < 2
        ? random.integer(at % 4 === 0 ? 8 : 5)
        : isLarge
          ? 2_000 + 500 * random.normal()
          : random.normal(),
    );
    const labels = Float32Array.from({ length: rows }, (_, row) => {
      const [user, item, price] = features.subarray(4 * row, 4 * row + 3) as unknown as number[];
      const likes = kind === 'logistic' ? item! > 1 : (user! + item!) % 2 === 0;
      return likes && price! < (isLarge ? 2_700 : 1.4) ? 1 : 0;
    });
    const network = featureNetwork(manifest(kind));
    expect(network).toEqual(featureNetwork(manifest(kind)));
    expect(inspectModel(network).inputs.map(({ name }) => name)).toEqual(inputs.map(({ name }) => name));
    const data = { rows, columns: 4, inputs, features, labels, weights: new Float32Array(rows).fill(1) };
    const { metrics } = await train(network, data, {
      ...{ loss: 'binary_cross_entropy', optimizer: { kind: 'adam' }, learningRate: 0.05 },
      ...{ trainable: 'all', epochs: 20, batch: 32, seed: 1, validationFraction: 0 },
    });
    expect(metrics.loss).toBeLessThan(0.5);
  });

  it.each([
    [
      'a text',
      '{name: t, from: request.t, type: text, input: t}',
      'features.t: an untrained network cannot read texts',
    ],
    ['no feature of an item', '{name: t, from: request.t}', 'no feature describes the item'],
  ])('is refused for %s', (_title, feature, message) => {
    const text = `name: m\ntask: ranking\nfeatures: [${feature}]\ntraining: {network: {kind: two-tower}}\n`;
    expect(() => featureNetwork(parseManifest(text))).toThrow(message);
  });
});
