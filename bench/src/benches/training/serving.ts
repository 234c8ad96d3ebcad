import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainInProcess } from '@hotloop/retrainer/training/trainer-process.ts';
import type { BenchOptions } from '../../bench.ts';
import { type Figure, figure } from '../../figure.ts';
import { quantile } from '../../interleave.ts';
import { PREDICT_MODEL, predictInput } from '../../models/bench-requests.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import { type LocalStand, startLocalStand } from '../../stand/local-stand.ts';

const PER_SECOND = 200;
const TRAIN_MS = 600_000;
const ROWS = 20_000;
const COLUMNS = 32;

/**
 * 99th percentile of predictions at a steady rate while a model is trained on the same machine, divided by the same
 * without training, alternating. A prediction's latency counts from when it was due.
 */
export async function servingBench({ rounds, seconds, say }: BenchOptions): Promise<Figure[]> {
  await using folder = await benchFolder();
  say('starting the services');
  await using stand = await startLocalStand(folder.path, true);
  await percentile(stand, seconds);
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const idle = await percentile(stand, seconds);
    const stop = new AbortController();
    const training = trainForLong(stop.signal);
    const busy = await percentile(stand, seconds);
    stop.abort();
    await training.catch(() => undefined);
    await stand.settle();
    say(`p99 ${busy.toFixed(1)} ms while training, ${idle.toFixed(1)} ms without`);
    ratios.push(busy / idle);
  }
  return [figure('serve_while_training', ratios, { atMost: 2 })];
}

async function percentile({ client }: LocalStand, seconds: number): Promise<number> {
  const latencies: number[] = [];
  const pending: Promise<unknown>[] = [];
  const begun = performance.now();
  for (let index = 0; index < seconds * PER_SECOND; index++) {
    const dueAt = begun + (1000 * index) / PER_SECOND;
    const wait = dueAt - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const answered = client.predict(PREDICT_MODEL, predictInput(index)).then(() => {
      latencies.push(performance.now() - dueAt);
    });
    pending.push(answered);
  }
  await Promise.all(pending);
  return quantile(latencies, 0.99);
}

/** Trains as a worker does, in a process of low priority, until the signal. */
function trainForLong(signal: AbortSignal): Promise<unknown> {
  const random = new SeededRandom(4);
  const features = Float32Array.from({ length: ROWS * COLUMNS }, () => random.normal());
  const labels = Float32Array.from({ length: ROWS }, (_, row) => (features[row * COLUMNS]! > 0 ? 1 : 0));
  const modelBytes = perceptron({
    ...{ inputs: COLUMNS, hidden: [128, 64], outputs: 1, activation: 'relu', head: 'sigmoid', seed: 1 },
  });
  const dataset = { rows: ROWS, columns: COLUMNS, features, labels, weights: new Float32Array(ROWS).fill(1) };
  return trainInProcess(
    {
      ...{ modelBytes, dataset },
      settings: {
        ...{ loss: 'binary_cross_entropy', optimizer: { kind: 'adam' }, learningRate: 1e-3 },
        ...{ trainable: 'all', epochs: 10_000, batch: 256, seed: 1, validationFraction: 0 },
      },
    },
    { timeoutMs: TRAIN_MS, signal },
  );
}
