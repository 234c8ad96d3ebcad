import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { GoldenExample } from '@hotloop/model/manifest/golden-schema.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { nestValues } from '@hotloop/model/manifest/nested-values.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { DatasetPart } from '../datasets/dataset.ts';
import { bindInputs, rowValues } from '../training/bind-inputs.ts';
import { cellsOfRows } from '../training/feature-cells.ts';
import type { JobLimits } from '../training/job-process.ts';
import type { ModelScores } from '../training/score-model.ts';
import type { TrainingDataset } from '../training/training-dataset.ts';
import type { Trainer } from './trainer.ts';

const ROWS = 8;
/** Half of what a manifest may carry: a node that loads the version reads them while it serves, in about 1 ms a KiB. */
const MOST_BYTES = 32 * 1024;
const SEED = 1;

/**
 * The golden examples of a version that was just trained: a few rows like those held out, with what the evaluator gets for
 * them. One example of all rows; none when nothing is held out, or a single row is too large.
 *
 * @throws a coded error: what `trainer.score` throws.
 */
export async function goldenExamples(
  manifest: Manifest,
  modelBytes: Uint8Array,
  holdout: DatasetPart,
  trainer: Trainer,
  limits: JobLimits,
): Promise<GoldenExample[]> {
  if (holdout.rows === 0) return [];
  const dataset = mixedRows(manifest, holdout);
  const output = manifest.output === undefined ? {} : { output: manifest.output };
  const [scores] = await trainer.score({ models: [modelBytes], dataset, ...output }, limits);
  if (!scores) return [];
  const { inputs, outputs } = inspectModel(modelBytes);
  const bound = bindInputs(inputs, dataset);
  const outputName = manifest.output ?? outputs[0]?.name ?? '';
  const finite = Array.from({ length: ROWS }, (_, row) => row).filter((row) =>
    rowOf(scores, row).every(Number.isFinite),
  );
  for (let rows = finite; rows.length > 0; rows = rows.slice(0, rows.length >> 1)) {
    const given = bound.map((input) => {
      const values = rowValues(input, dataset, rows);
      return [input.name, nestValues(values, [rows.length, ...input.rowShape])] as const;
    });
    const expected = rows.flatMap((row) => written(rowOf(scores, row)));
    const examples = [
      {
        inputs: Object.fromEntries(given),
        outputs: { [outputName]: nestValues(expected, [rows.length, ...scores.rowShape]) },
      },
    ];
    if (Buffer.byteLength(JSON.stringify(examples)) <= MOST_BYTES) return examples;
  }
  return [];
}

/**
 * Rows that could have been served: each feature's value was, in a held-out row drawn for it alone, so that no row is anybody's.
 * Bundles are kept when the prediction log has long forgotten. The same held-out rows give the same.
 */
function mixedRows(manifest: Manifest, holdout: DatasetPart): TrainingDataset {
  const { columns } = holdout;
  const random = new SeededRandom(SEED);
  const features = new Float32Array(ROWS * columns);
  for (let row = 0; row < ROWS; row++)
    for (const { offset, width } of columnsOf(manifest).features) {
      const drawn = cellsOfRows(holdout, [random.integer(holdout.rows)]);
      features.set(drawn.subarray(offset, offset + width), row * columns + offset);
    }
  return {
    ...(holdout.inputs ? { inputs: holdout.inputs } : {}),
    ...(holdout.texts ? { texts: holdout.texts } : {}),
    ...{ rows: ROWS, columns, features, labels: new Float32Array(ROWS), weights: new Float32Array(ROWS) },
  };
}

function rowOf({ columns, values }: ModelScores, row: number): Float32Array {
  return values.subarray(row * columns, (row + 1) * columns);
}

/** Nine digits are enough to read the same 32-bit float again. */
function written(values: Float32Array): number[] {
  return Array.from(values, (value) => Number(value.toPrecision(9)));
}
