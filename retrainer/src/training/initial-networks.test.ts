import { initialNetwork, NETWORK_KINDS, type NetworkShape } from '@hotloop/model/onnx/initial-networks.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
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
