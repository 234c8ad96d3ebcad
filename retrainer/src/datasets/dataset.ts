import { createHash } from 'node:crypto';
import type { LabelledExample } from './join.ts';

/** Rows of one part of a dataset, oldest prediction first. */
export interface DatasetPart {
  readonly rows: number;
  readonly columns: number;
  /** [rows * columns], row-major, as the model was given them. */
  readonly features: Float32Array;
  /** [rows] */
  readonly labels: Float32Array;
  /** [rows] */
  readonly weights: Float32Array;
  /** [rows] Which prediction each row belongs to: candidates of one request share a number. */
  readonly groups: Uint32Array;
}

export interface Dataset {
  readonly sha256: string;
  /** What is learnt from. */
  readonly training: DatasetPart;
  /**
   * The newest predictions, kept for the gate. The candidate has not learnt from them. Nor has the live version, unless labels
   * of much older predictions came since it was trained; it is then judged too kindly, and stays.
   */
  readonly holdout: DatasetPart;
  readonly examples: number;
  /** Rows with a label above 0. */
  readonly positives: number;
  /** Labelled rows that could not be used: their logged vector is missing, of another width, or not finite. */
  readonly unusable: number;
}

/** The logged vectors of one prediction, rows x columns; undefined when there are none. */
export type FeaturesOf = (predictionId: string) => Float32Array | undefined;

/**
 * Builds a dataset out of labelled rows and the vectors that were served with them, never computed again. Pure: the same
 * rows give the same bytes and digest. Rows of one prediction never stand on both sides of the cut.
 *
 * @param examples in the order of prediction time, as the join gives them.
 * @param holdout share of the newest predictions that is kept for the gate; at least one is, where there are two.
 */
export function assembleDataset(
  examples: readonly LabelledExample[],
  featuresOf: FeaturesOf,
  columns: number,
  holdout: number,
): Dataset {
  const usable = examples.flatMap((example) => {
    const vectors = featuresOf(example.predictionId);
    const values = vectors?.subarray(example.row * columns, (example.row + 1) * columns);
    return values?.length === columns && values.every(Number.isFinite) ? [{ example, values }] : [];
  });
  const predictions = [...new Set(usable.map(({ example }) => example.predictionId))];
  const groupOf = new Map(predictions.map((id, index) => [id, index]));
  const kept = Math.min(Math.max(Math.round(predictions.length * holdout), 1), predictions.length - 1);
  const firstKept = predictions.length - Math.max(kept, 0);
  const isKept = ({ example }: LabelledRow) => groupOf.get(example.predictionId)! >= firstKept;
  const training = partOf(
    usable.filter((row) => !isKept(row)),
    columns,
    groupOf,
  );
  const held = partOf(usable.filter(isKept), columns, groupOf);
  return {
    sha256: digest(usable, training, held),
    training,
    holdout: held,
    examples: usable.length,
    positives: usable.filter(({ example }) => example.label > 0).length,
    unusable: examples.length - usable.length,
  };
}

interface LabelledRow {
  readonly example: LabelledExample;
  readonly values: Float32Array;
}

function partOf(
  rows: readonly LabelledRow[],
  columns: number,
  groupOf: ReadonlyMap<string, number>,
): DatasetPart {
  const features = new Float32Array(rows.length * columns);
  const labels = new Float32Array(rows.length);
  const groups = new Uint32Array(rows.length);
  for (const [index, { example, values }] of rows.entries()) {
    features.set(values, index * columns);
    labels[index] = example.label;
    groups[index] = groupOf.get(example.predictionId)!;
  }
  return {
    rows: rows.length,
    columns,
    features,
    labels,
    weights: new Float32Array(rows.length).fill(1),
    groups,
  };
}

/** SHA-256 over a header, the identity of every row, and each part's values (float32, little endian). */
function digest(rows: readonly LabelledRow[], training: DatasetPart, holdout: DatasetPart): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ columns: training.columns, training: training.rows, holdout: holdout.rows }));
  for (const { example } of rows) hash.update(`\n${example.predictionId} ${example.row}`);
  for (const part of [training, holdout])
    for (const values of [part.features, part.labels, part.weights])
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex');
}
