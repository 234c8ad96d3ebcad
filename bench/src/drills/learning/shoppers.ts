import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { datasetOf } from '@hotloop/deploy/demo/first-version.ts';
import { shoppersStory } from '@hotloop/deploy/demo/shoppers-story.ts';
import { MONTHS, type Month, readSessions, sessionsOf } from '@hotloop/example-shoppers/shopper-session.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { type TrainingSettings, trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { allCells } from '@hotloop/retrainer/training/feature-cells.ts';
import { initialModel } from '@hotloop/retrainer/training/initial-model.ts';
import { rocAuc } from '@hotloop/retrainer/training/metrics.ts';
import { scoreModel } from '@hotloop/retrainer/training/score-model.ts';
import { train } from '@hotloop/retrainer/training/train.ts';
import type { TrainingDataset } from '@hotloop/retrainer/training/training-dataset.ts';
import { type Figure, figure } from '../../figure.ts';
import type { Drill } from '../drill.ts';

const FILE = 'online_shoppers_intention.csv';
const SEEDS = [1, 2, 3];
const FIRST = 2;
/** A month's update: few passes over the month and the same number of older rows. */
const EPOCHS = 3;
const REPLAY = 0.5;
/** Training from scratch stops earlier when the loss on a tenth of the rows no longer improves. */
const SCRATCH_EPOCHS = 40;

/**
 * Real sessions of an online shop. One version is trained on February and March and then fine-tuned month by month
 * until November, with older rows mixed in; the other is trained from scratch on all of them. Both are evaluated on
 * December. `shoppers_auc_ratio`: AUC of the first divided by that of the second; `shoppers_time`: the update of
 * November, which produces the version for December, divided by the training from scratch; `shoppers_time_all`: all
 * seven updates together, divided by it.
 */
export const drillShoppers: Drill = async ({ data, say }): Promise<Figure[]> => {
  if (data === undefined) {
    say(`shoppers is skipped: give the folder of ${FILE} with --data`);
    return [];
  }
  const csv = await readFile(join(data, FILE), 'utf8');
  const { manifestYaml, first } = shoppersStory(csv, 1);
  const manifest = parseManifest(manifestYaml);
  const plan = compileFeaturePlan(manifest);
  const sessions = readSessions(csv);
  const rowsOf = (months: readonly Month[]) =>
    datasetOf(
      plan,
      sessionsOf(sessions, months).map(({ key, request, revenue }) => ({
        input: { entities: { session: key }, request, candidates: [] },
        past: [],
        labels: [Number(revenue)],
      })),
    );
  const december = rowsOf(['Dec']);
  const aucOf = async (model: Uint8Array) =>
    rocAuc((await scoreModel(model, december, undefined)).values, december.labels);
  const found: { ratio: number; time: number; all: number }[] = [];
  for (const seed of SEEDS) {
    const untrained = initialModel({ features: plan.columns, task: 'binary', hidden: first.hidden, seed });
    const scratch: TrainingSettings = { ...first.settings, seed, epochs: SCRATCH_EPOCHS };
    const update: TrainingSettings = { ...trainingSettings(manifest), seed, epochs: EPOCHS };
    let model = (await train(untrained, rowsOf(MONTHS.slice(0, FIRST)), scratch)).modelBytes;
    let [spent, last] = [0, 0];
    for (let month = FIRST; month < MONTHS.length - 1; month++) {
      const rows = mixed(rowsOf([MONTHS[month]!]), rowsOf(MONTHS.slice(0, month)), REPLAY);
      const begun = performance.now();
      model = (await train(model, rows, update)).modelBytes;
      last = performance.now() - begun;
      spent += last;
    }
    const begun = performance.now();
    const whole = await train(untrained, rowsOf(MONTHS.slice(0, -1)), scratch);
    const wholeSpent = performance.now() - begun;
    const [tuned, fresh] = [await aucOf(model), await aucOf(whole.modelBytes)];
    say(
      `seed ${seed}: AUC on December ${tuned.toFixed(4)} fine-tuned in ${(spent / 1000).toFixed(1)} s, November in ${(last / 1000).toFixed(2)} s, ` +
        `${fresh.toFixed(4)} from scratch in ${(wholeSpent / 1000).toFixed(1)} s (${whole.metrics.epochs} epochs)`,
    );
    found.push({ ratio: tuned / fresh, time: last / wholeSpent, all: spent / wholeSpent });
  }
  return [
    figure(
      'shoppers_auc_ratio',
      found.map(({ ratio }) => ratio),
      { atLeast: 0.99 },
    ),
    figure(
      'shoppers_time',
      found.map(({ time }) => time),
      { atMost: 0.2 },
    ),
    figure(
      'shoppers_time_all',
      found.map(({ all }) => all),
    ),
  ];
};

/** New rows plus older ones, evenly sampled so that these make up `share` of all. */
function mixed(fresh: TrainingDataset, older: TrainingDataset, share: number): TrainingDataset {
  const wanted = Math.min(older.rows, Math.round((fresh.rows * share) / (1 - share)));
  const { columns } = fresh;
  const rows = fresh.rows + wanted;
  const mix = {
    ...{ rows, columns, features: new Float32Array(rows * columns), labels: new Float32Array(rows) },
    weights: new Float32Array(rows).fill(1),
  };
  mix.features.set(allCells(fresh));
  const olderCells = allCells(older);
  mix.labels.set(fresh.labels);
  for (let index = 0; index < wanted; index++) {
    const from = Math.floor((index * older.rows) / wanted);
    const at = fresh.rows + index;
    mix.features.set(olderCells.subarray(from * columns, (from + 1) * columns), at * columns);
    mix.labels[at] = older.labels[from]!;
  }
  return mix;
}
