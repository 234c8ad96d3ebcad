import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { describe, expect, it } from 'vitest';
import type { DatasetPart } from '../datasets/dataset.ts';
import { manifestText } from '../testing/fixture.ts';
import { measure, measureAll } from './measure.ts';

const part = (labels: readonly number[], groups = labels.map((_, index) => index)): DatasetPart => ({
  rows: labels.length,
  columns: 0,
  features: new Float32Array(0),
  labels: Float32Array.from(labels),
  weights: new Float32Array(labels.length).fill(1),
  groups: Uint32Array.from(groups),
});
const scores = (columns: number, ...values: readonly number[]) => ({
  columns,
  values: Float32Array.from(values),
});
const manifest = (task: string, rest = '') =>
  parseManifest(manifestText('m', rest).replace('task: binary', `task: ${task}`));
const LABELS = 'decision: {labels: [a, b, c]}\n';

describe('measuring a model', () => {
  it('reads the probability of the positive class from one column or two', () => {
    const one = measure(manifest('binary'), 'auc', scores(1, 0.1, 0.9, 0.4), part([0, 1, 0]));
    const two = measure(manifest('binary'), 'auc', scores(2, 0.9, 0.1, 0.1, 0.9, 0.6, 0.4), part([0, 1, 0]));
    expect([one, two]).toEqual([1, 1]);
  });

  it('judges accuracy at the declared threshold', () => {
    const at = (threshold: number) =>
      measure(
        manifest('binary', `decision: {threshold: ${threshold}}\n`),
        'accuracy',
        scores(1, 0.3, 0.6),
        part([0, 1]),
      );
    expect([at(0.5), at(0.2)]).toEqual([1, 0.5]);
  });

  it('reads one column per class', () => {
    const row = scores(3, 0.2, 0.5, 0.3);
    expect(measure(manifest('multiclass', LABELS), 'accuracy', row, part([1]))).toBe(1);
    expect(measure(manifest('multiclass', LABELS), 'log_loss', row, part([1]))).toBeCloseTo(-Math.log(0.5));
    expect(() => measure(manifest('multiclass', LABELS), 'auc', row, part([1]))).toThrow(
      'training.gate.metric: auc does not fit',
    );
  });

  it('ranks within each prediction', () => {
    const labels = part([0, 1, 0, 1], [0, 0, 1, 1]);
    expect(measure(manifest('ranking'), 'ndcg', scores(1, 0.1, 0.2, 0.8, 0.9), labels)).toBe(1);
    expect(measure(manifest('ranking'), 'ndcg', scores(1, 0.2, 0.1, 0.9, 0.8), labels)).toBeLessThan(1);
  });

  it('reports every metric of the task that has a value, and always the requested one', () => {
    expect([...measureAll(manifest('binary'), 'auc', scores(1, 0.1, 0.9), part([0, 1])).keys()]).toEqual([
      'auc',
      'log_loss',
      'accuracy',
    ]);
    const oneClass = measureAll(manifest('binary'), 'auc', scores(1, 0.1), part([1]));
    expect(oneClass.get('auc')).toBeNaN();
    expect([...measureAll(manifest('binary'), 'log_loss', scores(1, 0.1), part([1])).keys()]).toEqual([
      'log_loss',
      'accuracy',
    ]);
    expect(measureAll(manifest('regression'), 'rmse', scores(1, 1, 3), part([1, 1]))).toEqual(
      new Map([['rmse', Math.SQRT2]]),
    );
  });
});

describe('the settings of the trainer', () => {
  it.each([
    ['binary', '', 'binary_cross_entropy'],
    ['ranking', '', 'binary_cross_entropy'],
    ['regression', '', 'mean_squared_error'],
    ['multiclass', LABELS, 'cross_entropy'],
  ])('contain the loss of %s unless one is declared', (task, rest, loss) => {
    expect(trainingSettings(manifest(task, rest)).loss).toBe(loss);
    const declared = manifest(task, `${rest}training: {loss: mean_squared_error}\n`);
    expect(trainingSettings(declared).loss).toBe('mean_squared_error');
  });

  it('contain the declared optimizer, and validation rows only if patience needs them', () => {
    const adam = trainingSettings(
      manifest(
        'binary',
        'training: {optimizer: {adam: {learning_rate: 0.1, weight_decay: 0.2}}, patience: 2}\n',
      ),
    );
    expect(adam).toMatchObject({
      learningRate: 0.1,
      optimizer: { kind: 'adam', weightDecay: 0.2 },
      validationFraction: 0.1,
      patience: 2,
    });
    const sgd = trainingSettings(
      manifest(
        'binary',
        'training: {optimizer: {sgd: {learning_rate: 0.3}}, trainable: [weight_1], seed: 7}\n',
      ),
    );
    expect(sgd).toMatchObject({
      learningRate: 0.3,
      optimizer: { kind: 'sgd' },
      validationFraction: 0,
      trainable: ['weight_1'],
      seed: 7,
    });
  });

  it('contain nothing for a bare tensor model', () => {
    expect(() => trainingSettings(parseManifest('name: m\ntask: tensor\n'))).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }),
    );
  });
});
