import { join } from 'node:path';
import { dataSchema } from '@hotloop/model/manifest/data-schema.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { trainingSettings, trainingSpec } from '@hotloop/model/training/training-settings.ts';
import { type Dataset, loadDataset } from '@hotloop/retrainer/datasets/dataset.ts';
import { RowSpool } from '@hotloop/retrainer/datasets/row-spool.ts';
import { isFrozenKey } from '@hotloop/retrainer/datasets/split-rows.ts';
import { writeDataset } from '@hotloop/retrainer/datasets/write-dataset.ts';
import { judgeOnHoldout } from '@hotloop/retrainer/improve/judge-candidate.ts';
import type { Trainer } from '@hotloop/retrainer/improve/trainer.ts';
import { rocAuc } from '@hotloop/retrainer/training/metrics.ts';
import { scoreModel } from '@hotloop/retrainer/training/score-model.ts';
import { train } from '@hotloop/retrainer/training/train.ts';
import { type Figure, figure } from '../../figure.ts';
import { benchFolder } from '../../stand/bench-folder.ts';
import type { Drill } from '../drill.ts';

const SEEDS = 8;
const ROWS = 5_000;
const COLUMNS = 10;
const MANIFEST = parseManifest(`name: poison
task: binary
features:
${Array.from({ length: COLUMNS }, (_, index) => `  - {name: f${index}, from: request.f${index}}`).join('\n')}
training:
  optimizer: {adam: {learning_rate: 3.0e-3}}
  epochs: 4
  batch: 64
  data: {frozen: 0.15}
  gate: {metric: auc, at_least: -0.02, min_examples: 100}
`);

interface Row {
  readonly vector: Float32Array;
  readonly label: number;
  /** Probability of a positive label, which an attacker who knows the model would use. */
  readonly chance: number;
  readonly source: string;
}

/** Changes labels (and rows) of feedback; `share` of them. It cannot change frozen rows. */
type Attack = (rows: readonly Row[], share: number, random: SeededRandom) => readonly Row[];

const ATTACKS: Readonly<Record<string, Attack>> = {
  /** Flips the labels of random rows. */
  random: (rows, share, random) =>
    rows.map((row) => (random.uniform() < share ? { ...row, label: 1 - row.label } : row)),
  /** Negatives reported as positive, to be recommended more often. */
  promote(rows, share, random) {
    const negatives = rows.filter(({ label }) => label === 0).length;
    const chance = (share * rows.length) / negatives;
    return rows.map((row) => (row.label === 0 && random.uniform() < chance ? { ...row, label: 1 } : row));
  },
  /** Flips the rows about which the model is most certain: the most harmful ones. */
  certain(rows, share) {
    const order = [...rows.keys()].sort(
      (a, b) => Math.abs(rows[b]!.chance - 0.5) - Math.abs(rows[a]!.chance - 0.5),
    );
    const chosen = new Set(order.slice(0, Math.round(share * rows.length)));
    return rows.map((row, index) => (chosen.has(index) ? { ...row, label: 1 - row.label } : row));
  },
  /** A rare pattern, always reported as positive: a back door. */
  backdoor: (rows, share, random) =>
    rows.map((row) => {
      if (random.uniform() >= share) return row;
      const vector = row.vector.slice();
      vector[COLUMNS - 1] = 6;
      return { ...row, vector, label: 1 };
    }),
  /** One source that reports the opposite of what it sees. */
  flood: (rows, share, random) =>
    rows.map((row) =>
      random.uniform() < share ? { ...row, label: row.chance > 0.5 ? 0 : 1, source: 'attacker' } : row,
    ),
};

/**
 * Five attacks on the labels, the same number of seeds for each, on 5 and on 20 % of the feedback. The candidate is
 * trained and evaluated by the real gate. `poison_loss`: how much worse the version that serves afterwards is on
 * frozen rows than one trained on clean labels, mean over the seeds, worst attack, in percentage points of AUC.
 * `poison_blocked`: share of candidates that the gate rejected.
 */
export const drillPoison: Drill = async ({ say }): Promise<Figure[]> => {
  const losses: number[] = [];
  let [blocked, tried] = [0, 0];
  for (const [name, attack] of Object.entries(ATTACKS)) {
    const found = { loss: 0, blocked: 0 };
    for (let seed = 1; seed <= SEEDS; seed++) {
      const scene = await sceneOf(seed);
      const light = await attacked(scene, attack, 0.05);
      found.loss += (100 * Math.max(0, scene.cleanAuc - light.auc)) / SEEDS;
      if (!(await attacked(scene, attack, 0.2)).passed) found.blocked++;
    }
    say(`${name}: ${found.loss.toFixed(2)} points lost at 5 %, ${found.blocked} of ${SEEDS} refused at 20 %`);
    losses.push(found.loss);
    blocked += found.blocked;
    tried += SEEDS;
  }
  const worst = figure('poison_loss', [Math.max(...losses)], { atMost: 0.5 });
  return [
    { ...worst, low: Math.min(...losses), n: losses.length * SEEDS },
    { ...figure('poison_blocked', [blocked / tried], { atLeast: 0.95 }), n: tried },
  ];
};

interface Scene {
  readonly seed: number;
  /** The feedback before the attack. */
  readonly rows: readonly Row[];
  readonly live: Uint8Array;
  /** On the frozen rows, of a candidate trained on clean labels if it passes the gate, else of the live version. */
  readonly cleanAuc: number;
}

async function sceneOf(seed: number): Promise<Scene> {
  const random = new SeededRandom(seed);
  const weights = Array.from({ length: COLUMNS }, () => 1.6 * random.normal());
  const draw = (): Row => {
    const vector = Float32Array.from({ length: COLUMNS }, () => random.normal());
    const sum = vector.reduce((total, value, index) => total + value * weights[index]!, 0);
    const chance = 1 / (1 + Math.exp(-(sum + 0.8 * vector[0]! * vector[1]!)));
    return { vector, label: random.uniform() < chance ? 1 : 0, chance, source: `app-${random.integer(3)}` };
  };
  const [past, rows] = [Array.from({ length: ROWS }, draw), Array.from({ length: ROWS }, draw)];
  const untrained = perceptron({
    ...{ inputs: COLUMNS, hidden: [16], outputs: 1, activation: 'relu', head: 'sigmoid', seed },
  });
  const before = await datasetOf(past);
  const settings = trainingSettings(MANIFEST);
  const { modelBytes: live } = await train(untrained, before.training, { ...settings, epochs: 10 });
  const bare = { seed, rows, live };
  return { ...bare, cleanAuc: (await attacked({ ...bare, cleanAuc: 1 }, (clean) => clean, 0)).auc };
}

/**
 * Trains on the data after the attack and lets the gate decide. The AUC is that of the version that serves
 * afterwards.
 */
async function attacked(
  { seed, rows, live }: Scene,
  attack: Attack,
  share: number,
): Promise<{ passed: boolean; auc: number }> {
  const { data } = trainingSpec(MANIFEST);
  const reachable = [...rows.keys()].filter((index) => !isFrozenKey(keyOf(index), data));
  const changed = attack(
    reachable.map((index) => rows[index]!),
    share,
    new SeededRandom(1000 + seed),
  );
  const all = rows.slice();
  for (const [at, index] of reachable.entries()) all[index] = changed[at]!;
  const dataset = await datasetOf(all);
  const { modelBytes: candidate } = await train(live, dataset.training, trainingSettings(MANIFEST));
  const { gate } = await judgeOnHoldout(
    {
      ...{ manifest: MANIFEST, live, candidate, corrections: NO_CASES },
      ...{ training: dataset.training, holdout: dataset.holdout, frozen: dataset.frozen },
    },
    inThisProcess,
    { timeoutMs: 60_000 },
  );
  const serving = await scoreModel(gate.passed ? candidate : live, dataset.frozen, undefined);
  return { passed: gate.passed, auc: rocAuc(serving.values, dataset.frozen.labels) };
}

const keyOf = (index: number) => `p${String(index).padStart(6, '0')}`;

async function datasetOf(rows: readonly Row[]): Promise<Dataset> {
  await using own = await benchFolder();

  const path = join(own.path, 'dataset.parquet');
  await using spool = await RowSpool.create(own.path, COLUMNS);
  for (const [index, { vector, label, source }] of rows.entries()) {
    const key = keyOf(index);
    const row = { predictionId: key, row: 0, at: index + 1, label, weight: 1, source, version: 1, key };
    await spool.append(row, vector);
  }
  const { data, holdout } = trainingSpec(MANIFEST);
  await writeDataset(spool, path, {
    model: 'poison',
    columns: MANIFEST.features.map(({ name }) => ({ key: name, feature: name, category: null })),
    split: { holdout, data: dataSchema.parse(data), hasParent: false },
    parentTo: 0,
  });
  return loadDataset(path);
}

const NO_CASES = {
  rows: {
    ...{ rows: 0, columns: COLUMNS, features: new Float32Array(0), labels: new Float32Array(0) },
    ...{ weights: new Float32Array(0), groups: new Uint32Array(0) },
  },
  untried: 0,
};

/** Starting a process for each of a few hundred short trainings would take longer than the trainings. */
const inThisProcess: Trainer = {
  train: () => Promise.reject(new Error('the drill trains by itself')),
  score: ({ models, dataset, output }) =>
    Promise.all(models.map((model) => scoreModel(model, dataset, output))),
};
