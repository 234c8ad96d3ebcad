import { systemClock } from '@hotloop/platform/clock.ts';
import { COLLECT_DEFAULTS } from '../datasets/collect-dataset.ts';
import { datasetCollector } from '../datasets/dataset-collector.ts';
import type { RetrainDependencies } from '../improve/retrain.ts';
import type { Trainer } from '../improve/trainer.ts';
import type { WorkerOptions } from '../runs/run-worker.ts';
import { allCells } from '../training/feature-cells.ts';
import {
  digestOf,
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  push,
  type Stores,
} from './fixture.ts';

export const LABELLED_MANIFEST = manifestText('m', 'training: {epochs: 1, gate: {min_examples: 5}}\n');

/** Pushes model `m`, makes it live, and logs predictions with outcomes: the label is whether x is above 0. */
export async function withLabels(
  stores: Stores,
  count = 60,
  manifestYaml = LABELLED_MANIFEST,
): Promise<void> {
  await push(stores, manifestYaml, linearModel());
  await makeLive(stores, 'm', 1);
  const at = Date.now() - 60_000;
  const rows = Array.from({ length: count }, (_, index) => [index % 2 === 0 ? 1 : -1, index / count]);
  const ids = await logPredictions(
    stores.pool,
    rows.map((features, index) => ({ model: 'm', features, at: at + index })),
  );
  for (const [index, id] of ids.entries())
    await stores.pool.query(
      `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
       VALUES ($1, 'm', 'sdk', 'label', $2, $3, now())`,
      [`o${index}`, id, JSON.stringify(rows[index]![0]! > 0 ? 1 : 0)],
    );
}

/**
 * A trainer that trains nothing: it answers with a given model. Of the models that it scores, the last gives each row's x as a
 * probability, which is right; the others know nothing.
 */
export function playedTrainer(change: Partial<Trainer> = {}, seed = 2): Trainer {
  return {
    async train() {
      const modelBytes = linearModel(seed);
      const metrics = {
        examples: 1,
        validationExamples: 0,
        epochs: 1,
        steps: 1,
        bestEpoch: 1,
        loss: 0.5,
        validationLossBefore: null,
        validationLoss: null,
      };
      return { modelBytes, sha256: digestOf(modelBytes), metrics };
    },
    async score({ models, dataset }) {
      const cells = allCells(dataset);
      const x = Float32Array.from({ length: dataset.rows }, (_, row) => cells[row * dataset.columns]!);
      return models.map((_, index) => ({
        rowShape: [1],
        columns: 1,
        values: x.map((value) => (index < models.length - 1 ? 0.5 : (value + 1) / 2)),
      }));
    },
    ...change,
  };
}

export const dependenciesOf = (stores: Stores, trainer: Trainer): RetrainDependencies => ({
  ...stores,
  datasets: datasetCollector({ pool: stores.pool, objects: stores.objects, waitMs: 0 }),
  clock: systemClock,
  trainer,
});

export const workerOptions = (stores: Stores, change: Partial<WorkerOptions> = {}): WorkerOptions => ({
  collect: COLLECT_DEFAULTS,
  promotion: { timeoutMs: 20_000, pollMs: 10, oldFailureMs: 100 },
  trainTimeoutMs: 10_000,
  leaseMs: 10_000,
  maxAttempts: 3,
  log: stores.log,
  ...change,
});
