import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { allCells } from '../../training/feature-cells.ts';
import type { TrainingDataset } from '../../training/training-dataset.ts';
import type { Cost } from './incident.ts';

export interface ReplayedRows {
  readonly dataset: TrainingDataset;
  /** Rows x columns logged during the incident; their columns replace those of the dataset. */
  readonly broken: Float32Array;
}

/** Scores rows with the live model and computes the metric on their labels. */
export type Measure = (
  features: Float32Array,
  labels: Float32Array,
) => Promise<(rows: Uint32Array) => number>;

const RESAMPLES = 200;
const SEED = 7;

/**
 * The cost of broken features: the live model's metric on earlier labelled rows, against its metric on the same rows when
 * the named features take values logged now. Values are drawn at random, so a feature keeps its present distribution and
 * loses its relation to the row. For a broken feature that is what happens; for one that merely drifted it is the most
 * that it can cost. The interval is a bootstrap over rows (percentiles of 200 resamples).
 */
export async function replayCost(
  manifest: Manifest,
  features: readonly string[],
  { dataset, broken }: ReplayedRows,
  metric: { readonly name: string; readonly higherIsBetter: boolean },
  measure: Measure,
): Promise<Cost> {
  const { rows, columns } = dataset;
  const layout = columnsOf(manifest);
  const brokenRows = Math.floor(broken.length / Math.max(1, columns));
  if (rows < 100) return unknownCost(metric.name, `only ${rows} labelled rows; 100 are needed`);
  if (brokenRows === 0) return unknownCost(metric.name, 'no logged rows of the incident');
  const random = new SeededRandom(SEED);
  const cells = allCells(dataset);
  const changed = cells.slice();
  const chosen = layout.features.filter(({ name }) => features.includes(name));
  for (let row = 0; row < rows; row++) {
    const from = random.integer(brokenRows) * columns;
    for (const { offset, width } of chosen)
      for (let column = offset; column < offset + width; column++)
        changed[row * columns + column] = broken[from + column]!;
  }
  const before = await measure(cells, dataset.labels);
  const after = await measure(changed, dataset.labels);
  const sign = metric.higherIsBetter ? 1 : -1;
  const lossOn = (sample: Uint32Array) => sign * (before(sample) - after(sample));
  const all = Uint32Array.from({ length: rows }, (_v, row) => row);
  const losses = Array.from({ length: RESAMPLES }, () => lossOn(all.map(() => random.integer(rows))))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const loss = lossOn(all);
  if (!Number.isFinite(loss) || losses.length === 0)
    return unknownCost(metric.name, 'the labelled rows hold one class alone');
  return {
    metric: metric.name,
    loss,
    low: losses[Math.floor(losses.length * 0.025)]!,
    high: losses[Math.ceil(losses.length * 0.975) - 1]!,
    method: `${rows} labelled rows scored again with these values`,
    known: true,
  };
}

export function unknownCost(metric: string, why: string): Cost {
  return { metric, loss: 0, low: 0, high: 0, method: why, known: false };
}
