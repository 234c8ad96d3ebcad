import { type RowInput, TextTable } from '@hotloop/model/features/flat-rows.ts';
import { ParquetReader, type ParquetValues } from '@hotloop/platform/parquet/parquet-file.ts';
import { cellsOfRows, type FeatureCells, HELD_BYTES, StoredCells } from '../training/feature-cells.ts';
import type { TrainingDataset } from '../training/training-dataset.ts';
import { CellsOfParts } from './cells-of-parts.ts';
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

const NO_CELLS = new Float32Array(0);
const [PART, LABEL, WEIGHT, GROUP, FOLD] = [3, 4, 5, 8, 9] as const;

/** A dataset that was read. Where its vectors stay in a file, that file is open until it is disposed of. */
export interface LoadedDataset extends Dataset, Disposable {}

const READ_PARTS = ['training', 'validation', 'holdout', 'frozen'] as const;

/**
 * Reads a dataset that writeDataset wrote. Vectors beyond `heldBytes` are kept row by row in a temporary file, and read from it as they are
 * needed; what is in memory in any case is about 16 bytes a row and one row group. Throws DATA_LOSS for a file that is damaged.
 */
export async function loadDataset(path: string, heldBytes: number = HELD_BYTES): Promise<LoadedDataset> {
  await using reader = await ParquetReader.open(path);
  const columns = reader.columns.length - FIRST_FEATURE;
  const { inputs: described } = reader.metadata;
  const texts = new TextTable();
  const kind =
    described === undefined ? {} : { inputs: JSON.parse(described) as RowInput[], texts: texts.texts };
  // [group][row]: the number of the part, or 255.
  const parts: Uint8Array[] = [];
  const counts = [0, 0, 0, 0];
  for (let group = 0; group < reader.groups.length; group++) {
    const names = (await reader.read(group, PART)) as string[];
    const own = Uint8Array.from(names, (name) => READ_PARTS.indexOf(name as (typeof READ_PARTS)[number]));
    for (const part of own) if (part < counts.length) counts[part]!++;
    parts.push(own);
  }
  await using cells = await CellsOfParts.open(counts, columns, heldBytes);
  const made = counts.map((rows) => emptyPart(rows, { columns, ...kind }, NO_CELLS));
  const filled = [0, 0, 0, 0];
  for (let group = 0; group < reader.groups.length; group++) {
    const target = parts[group]!;
    const place = Int32Array.from(target, (part) => (part < counts.length ? filled[part]!++ : -1));
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
    const vectors = new Float32Array(target.length * columns);
    for (let column = 0; column < columns; column++) {
      const values = placesOf(await reader.read(group, FIRST_FEATURE + column), texts);
      for (let row = 0, at = column; row < target.length; row++, at += columns) vectors[at] = values[row]!;
    }
    await cells.append(vectors, target);
  }
  const { features, close } = await cells.finish();
  const [training, validation, holdout, frozen] = made.map((part, index) => ({
    ...part,
    features: features[index]!,
  })) as [DatasetPart, DatasetPart, DatasetPart, DatasetPart];
  return { training, validation, holdout, frozen, [Symbol.dispose]: close };
}

/** The numbers of a column; of texts, their places in the table. */
export function placesOf(values: ParquetValues, texts: TextTable): ArrayLike<number> {
  if (!Array.isArray(values)) return values as Float32Array;
  return values.map((text: string) => texts.placeOf(text));
}

/** Some rows of a part, in this order. Nothing is copied of vectors that are in a file. */
export function pickRows(part: DatasetPart, rows: ArrayLike<number>): DatasetPart {
  const features = part.features instanceof StoredCells ? part.features.pick(rows) : cellsOfRows(part, rows);
  const picked = emptyPart(rows.length, part, features);
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index]!;
    picked.labels[index] = part.labels[row]!;
    picked.weights[index] = part.weights[row]!;
    picked.groups[index] = part.groups[row]!;
    picked.folds[index] = part.folds?.[row] ?? -1;
  }
  return picked;
}

/** The rows of a part from one to before another. */
export function rowsBetween(part: DatasetPart, from: number, to: number): DatasetPart {
  return pickRows(
    part,
    Uint32Array.from({ length: to - from }, (_, row) => from + row),
  );
}

/** Rows of several parts of one dataset, one part after another. */
export function joinParts(parts: readonly DatasetPart[]): DatasetPart {
  const like = parts[0] ?? { columns: 0 };
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const joined = emptyPart(rows, like, joinedCells(parts, rows * like.columns));
  let at = 0;
  for (const { rows: own, labels, weights, groups, folds } of parts) {
    joined.labels.set(labels, at);
    joined.weights.set(weights, at);
    joined.groups.set(groups, at);
    joined.folds.set(folds ?? new Int32Array(own).fill(-1), at);
    at += own;
  }
  return joined;
}

function joinedCells(parts: readonly DatasetPart[], length: number): FeatureCells {
  const stored = parts.map(({ features }) => features).filter((features) => features instanceof StoredCells);
  const [first] = stored;
  if (first) {
    if (stored.length < parts.length || stored.some(({ file }) => file !== first.file))
      throw new RangeError('parts of different files cannot be joined');
    const places = new Uint32Array(length / Math.max(1, first.file.columns));
    let at = 0;
    for (const [index, features] of stored.entries())
      for (let row = 0; row < parts[index]!.rows; row++) places[at++] = features.placeOf(row);
    return new StoredCells(first.file, places);
  }
  const cells = new Float32Array(length);
  let at = 0;
  for (const { features } of parts) {
    cells.set(features as Float32Array, at);
    at += features.length;
  }
  return cells;
}

type Kind = Pick<DatasetPart, 'columns' | 'inputs' | 'texts'>;

function emptyPart(
  rows: number,
  { columns, inputs, texts }: Kind,
  features: FeatureCells,
): DatasetPart & { readonly groups: Uint32Array; readonly folds: Int32Array } {
  return {
    rows,
    columns,
    ...(inputs ? { inputs } : {}),
    ...(texts ? { texts } : {}),
    features,
    labels: new Float32Array(rows),
    weights: new Float32Array(rows),
    groups: new Uint32Array(rows),
    folds: new Int32Array(rows).fill(-1),
  };
}
