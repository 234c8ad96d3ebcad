import type { RowInput } from '@hotloop/model/features/flat-rows.ts';
import type { ColumnKey } from '@hotloop/model/manifest/column-keys.ts';
import { type ParquetColumn, ParquetWriter } from '@hotloop/platform/parquet/parquet-file.ts';
import type { RowSpool } from './row-spool.ts';
import { PARTS, type SplitSpec, share, splitRows } from './split-rows.ts';

/** Columns before those of the features. `part` says what a row is for; `group` numbers the predictions. */
const OWN_COLUMNS: readonly ParquetColumn[] = [
  { name: 'prediction_id', type: 'text' },
  { name: 'row', type: 'int32' },
  { name: 'at', type: 'timestamp' },
  { name: 'part', type: 'text' },
  { name: 'label', type: 'float' },
  { name: 'weight', type: 'float' },
  { name: 'source', type: 'text' },
  { name: 'version', type: 'int32' },
  { name: 'group', type: 'int32' },
  { name: 'fold', type: 'int32' },
];
export const FIRST_FEATURE = OWN_COLUMNS.length;

/** What cross-validation divides: all but the frozen holdout. */
const FOLDED: ReadonlySet<string> = new Set(['training', 'validation', 'holdout']);

const MOST_GROUP_BYTES = 32 * 1024 * 1024;
const MOST_GROUP_ROWS = 65_536;

export interface WrittenDataset {
  /** Of the file. */
  readonly sha256: string;
  readonly bytes: number;
  /** Rows for each purpose. */
  readonly parts: Readonly<Record<(typeof PARTS)[number], number>>;
  /** Rows that are written: all but those left out. */
  readonly examples: number;
  /** Of them, with a label above 0. */
  readonly positives: number;
  /** Times of the oldest and newest written row; 0 without rows. */
  readonly from: number;
  readonly to: number;
}

export interface DatasetToWrite {
  readonly model: string;
  readonly columns: readonly ColumnKey[];
  /** Of a model whose features are no single float32 matrix. */
  readonly inputs?: readonly RowInput[];
  readonly split: SplitSpec;
  /** Rows made after it are new to the parent of the next version. */
  readonly parentTo: number;
}

/**
 * Divides the rows of a spool and writes them as one Parquet file: the same rows give the same bytes. The first columns say what a
 * row is; then comes one column for each column of the model's inputs, named as its feature, with `=category` where it has one.
 */
export async function writeDataset(
  spool: RowSpool,
  path: string,
  target: DatasetToWrite,
): Promise<WrittenDataset> {
  const groups = groupsOf(spool);
  const parts = splitRows(
    {
      length: spool.length,
      group: (index) => groups[index]!,
      key: (index) => spool.key(index),
      source: (index) => spool.source(index),
      isNew: (index) => spool.time(index) > target.parentTo,
    },
    target.split,
  );
  if (target.split.data.classes === 'balanced') balance(spool, parts);
  const isText = (target.inputs ?? []).flatMap(({ dtype, width }) =>
    new Array<boolean>(width).fill(dtype === 'string'),
  );
  const columns = [...OWN_COLUMNS, ...featureColumns(target.columns, isText)];
  const rowBytes = columns.length * 4 + 64;
  const perGroup = Math.max(1, Math.min(MOST_GROUP_ROWS, Math.floor(MOST_GROUP_BYTES / rowBytes)));
  await using writer = await ParquetWriter.create(path, columns);
  const counts = { training: 0, holdout: 0, frozen: 0, left_out: 0, validation: 0 };
  const totals = { examples: 0, positives: 0, from: 0, to: 0 };
  const { folds } = target.split.data;
  for (let from = 0; from < spool.length; from += perGroup) {
    const to = Math.min(spool.length, from + perGroup);
    const kept: number[] = [];
    for (let index = from; index < to; index++) {
      const part = PARTS[parts[index]!]!;
      counts[part]++;
      if (part !== 'left_out') kept.push(index);
    }
    if (kept.length === 0) continue;
    const rows = kept.map((index) => spool.at(index));
    const vectors = await spool.vectors(from, to);
    await writer.writeGroup([
      rows.map(({ predictionId }) => predictionId),
      Int32Array.from(rows, ({ row }) => row),
      Float64Array.from(rows, ({ at }) => at),
      kept.map((index) => PARTS[parts[index]!]!),
      Float32Array.from(rows, ({ label }) => label),
      Float32Array.from(rows, ({ weight }) => weight),
      rows.map(({ source }) => source),
      Int32Array.from(rows, ({ version }) => version),
      Int32Array.from(kept, (index) => groups[index]!),
      Int32Array.from(kept, (index, at) =>
        folds === undefined || !FOLDED.has(PARTS[parts[index]!]!)
          ? -1
          : Math.floor(share(rows[at]!.key, 'fold') * folds),
      ),
      ...transposed(vectors, spool.columns, kept, from).map((values, column) =>
        isText[column] ? Array.from(values, (place) => spool.texts.texts[place] ?? '') : values,
      ),
    ]);
    totals.examples += rows.length;
    totals.positives += rows.filter(({ label }) => label > 0).length;
    for (const { at } of rows) {
      totals.from = totals.from === 0 ? at : Math.min(totals.from, at);
      totals.to = Math.max(totals.to, at);
    }
  }
  const written = await writer.finish({
    model: target.model,
    columns: JSON.stringify(target.columns.map(({ key }) => key)),
    ...(target.inputs === undefined ? {} : { inputs: JSON.stringify(target.inputs) }),
  });
  return { ...written, parts: counts, ...totals };
}

/** Numbers the predictions from 0 in the order of the rows. */
function groupsOf(spool: RowSpool): Uint32Array {
  const groups = new Uint32Array(spool.length);
  for (let index = 1; index < spool.length; index++)
    groups[index] = groups[index - 1]! + Number(spool.predictionId(index) !== spool.predictionId(index - 1));
  return groups;
}

/** Each class of the training rows gets the same total weight; the mean weight stays 1. */
function balance(spool: RowSpool, parts: Uint8Array): void {
  const counts = new Map<number, number>();
  let total = 0;
  for (let index = 0; index < spool.length; index++) {
    if (parts[index] !== 0) continue;
    const { label } = spool.at(index);
    counts.set(label, (counts.get(label) ?? 0) + 1);
    total++;
  }
  for (let index = 0; index < spool.length; index++) {
    if (parts[index] !== 0) continue;
    const { label, weight } = spool.at(index);
    spool.setWeight(index, (weight * total) / (counts.size * counts.get(label)!));
  }
}

function featureColumns(columns: readonly ColumnKey[], isText: readonly boolean[]): ParquetColumn[] {
  const used = new Set(OWN_COLUMNS.map(({ name }) => name));
  return columns.map(({ feature, category }, column) => {
    const plain = category === null ? feature : `${feature}=${category}`;
    let name = plain;
    for (let number = 2; used.has(name); number++) name = `${plain}#${number}`;
    used.add(name);
    return { name, type: isText[column] ? 'text' : 'float' };
  });
}

function transposed(
  vectors: Float32Array,
  columns: number,
  kept: readonly number[],
  from: number,
): Float32Array[] {
  return Array.from({ length: columns }, (_, column) => {
    const values = new Float32Array(kept.length);
    for (let row = 0; row < kept.length; row++)
      values[row] = vectors[(kept[row]! - from) * columns + column]!;
    return values;
  });
}
