import { type RowInput, TextTable } from '@hotloop/model/features/flat-rows.ts';
import { ParquetReader, type ParquetValues } from '@hotloop/platform/parquet/parquet-file.ts';
import type { TrainingDataset } from '../training/training-dataset.ts';
import { FIRST_FEATURE } from './write-dataset.ts';

/** Rows of one part of a dataset, oldest prediction first. */
export interface DatasetPart extends TrainingDataset {
  /** [rows] Which prediction each row belongs to: candidates of one request share a number. */
  readonly groups: Uint32Array;
  /** [rows] Fold of cross-validation; -1 where training.data.folds is not declared. */
  readonly folds?: Int32Array;
}

/** A stored dataset in memory. */
export interface Dataset {
  /** What is learnt from. */
  readonly training: DatasetPart;
  /**
   * What the gate judges on. The candidate has not learnt from it. Nor has the live version, unless labels of much older
   * predictions came since it was trained; it is then judged too kindly, and stays.
   */
  readonly holdout: DatasetPart;
  /** Rows that no version ever learns from; empty unless training.data.frozen asks for them. */
  readonly frozen: DatasetPart;
  /** Rows that decide when training stops; empty unless patience or training.data.validation ask for them. */
  readonly validation: DatasetPart;
}

/** The frozen holdout for the gate, or null where the model keeps none. Corrections never change its labels. */
export function frozenPart(dataset: Dataset): DatasetPart | null {
  return dataset.frozen.rows === 0 ? null : dataset.frozen;
}

const [PART, LABEL, WEIGHT, GROUP, FOLD] = [3, 4, 5, 8, 9] as const;

/** Reads a dataset that writeDataset wrote. Throws DATA_LOSS for a file that is damaged. */
export async function loadDataset(path: string): Promise<Dataset> {
  await using reader = await ParquetReader.open(path);
  const columns = reader.columns.length - FIRST_FEATURE;
  const { inputs: described } = reader.metadata;
  const texts = new TextTable();
  const kind =
    described === undefined ? {} : { inputs: JSON.parse(described) as RowInput[], texts: texts.texts };
  const parts: string[][] = [];
  for (let group = 0; group < reader.groups.length; group++)
    parts.push((await reader.read(group, PART)) as string[]);
  const countOf = (name: string) =>
    parts.reduce((sum, group) => sum + group.filter((part) => part === name).length, 0);
  const names = ['training', 'holdout', 'frozen', 'validation'] as const;
  const made = names.map((name) => emptyPart(countOf(name), { columns, ...kind }));
  const filled = [0, 0, 0, 0];
  for (let group = 0; group < reader.groups.length; group++) {
    const target = parts[group]!.map((part) => names.indexOf(part as (typeof names)[number]));
    const place = target.map((part) => (part < 0 ? -1 : filled[part]!++));
    const [labels, weights, groups, folds] = (await Promise.all(
      [LABEL, WEIGHT, GROUP, FOLD].map((column) => reader.read(group, column)),
    )) as [Float32Array, Float32Array, Int32Array, Int32Array];
    for (let row = 0; row < target.length; row++) {
      const part = made[target[row]!];
      if (!part) continue;
      part.labels[place[row]!] = labels[row]!;
      part.weights[place[row]!] = weights[row]!;
      part.groups[place[row]!] = groups[row]!;
      part.folds[place[row]!] = folds[row]!;
    }
    for (let column = 0; column < columns; column++) {
      const values = placesOf(await reader.read(group, FIRST_FEATURE + column), texts);
      for (let row = 0; row < target.length; row++) {
        const part = made[target[row]!];
        if (part) part.features[place[row]! * columns + column] = values[row]!;
      }
    }
  }
  return { training: made[0]!, holdout: made[1]!, frozen: made[2]!, validation: made[3]! };
}

/** The numbers of a column; of texts, their places in the table. */
export function placesOf(values: ParquetValues, texts: TextTable): ArrayLike<number> {
  if (!Array.isArray(values)) return values as Float32Array;
  return values.map((text: string) => texts.placeOf(text));
}

/** Some rows of a part, in this order. */
export function pickRows(part: DatasetPart, rows: readonly number[]): DatasetPart {
  const { columns } = part;
  const picked = emptyPart(rows.length, part);
  for (const [index, row] of rows.entries()) {
    picked.features.set(part.features.subarray(row * columns, (row + 1) * columns), index * columns);
    picked.labels[index] = part.labels[row]!;
    picked.weights[index] = part.weights[row]!;
    picked.groups[index] = part.groups[row]!;
    picked.folds[index] = part.folds?.[row] ?? -1;
  }
  return picked;
}

/** Rows of several parts of one dataset, one part after another. */
export function joinParts(parts: readonly DatasetPart[]): DatasetPart {
  const like = parts[0] ?? { columns: 0 };
  const { columns } = like;
  const joined = emptyPart(
    parts.reduce((sum, { rows }) => sum + rows, 0),
    like,
  );
  let at = 0;
  for (const { rows, features, labels, weights, groups, folds } of parts) {
    joined.features.set(features, at * columns);
    joined.labels.set(labels, at);
    joined.weights.set(weights, at);
    joined.groups.set(groups, at);
    joined.folds.set(folds ?? new Int32Array(rows).fill(-1), at);
    at += rows;
  }
  return joined;
}

type Kind = Pick<DatasetPart, 'columns' | 'inputs' | 'texts'>;

function emptyPart(
  rows: number,
  { columns, inputs, texts }: Kind,
): DatasetPart & { readonly groups: Uint32Array; readonly folds: Int32Array } {
  return {
    rows,
    columns,
    ...(inputs ? { inputs } : {}),
    ...(texts ? { texts } : {}),
    features: new Float32Array(rows * columns),
    labels: new Float32Array(rows),
    weights: new Float32Array(rows),
    groups: new Uint32Array(rows),
    folds: new Int32Array(rows).fill(-1),
  };
}
