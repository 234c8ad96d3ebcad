import { type FileHandle, open } from 'node:fs/promises';
import type { RowInput } from '@hotloop/model/features/flat-rows.ts';
import { type LossName, type LossSpec, lossSpec } from '@hotloop/model/training/training-settings.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { CellFile, cellBlocks, type FeatureCells, HELD_BYTES, StoredCells } from './feature-cells.ts';
import { needsGroups } from './ranking-losses.ts';

/** Examples to learn from, row by row: what was served, what happened, and how much each example counts. */
export interface TrainingDataset {
  readonly rows: number;
  readonly columns: number;
  /** Which input of the model takes which columns; absent: its only input takes all, as float32. */
  readonly inputs?: readonly RowInput[];
  /** What the cells of text inputs are places of. */
  readonly texts?: readonly string[];
  /** [rows * columns], row-major, as the model was given them; where they are many, in a file. */
  readonly features: FeatureCells;
  /** [rows]: 0 or 1 (or between) for binary, the class number for classes, any number for regression. */
  readonly labels: Float32Array;
  /** [rows]: at least 0; an example of weight 0 is left out. */
  readonly weights: Float32Array;
  /** [rows], for losses that rank: rows of the same number were shown together, and are learnt from together. */
  readonly groups?: Uint32Array;
}

const magic = 'HLDATA1\n';
const alignment = 8;

/**
 * Writes a dataset as one file: the 8 bytes `HLDATA1\n`; the header's length as little-endian uint32; the header, JSON
 * `{"rows":N,"columns":F}` padded with spaces so that what follows starts at a multiple of 8; then little-endian float32
 * values: features [N, F] row-major, labels [N], weights [N]; where the header says `"groups":true`, uint32 groups [N]. The header
 * also holds `inputs` and `texts` where the dataset has them. The same dataset gives the same bytes.
 */
export async function writeTrainingDataset(path: string, dataset: TrainingDataset): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  for (const part of trainingDatasetBytes(dataset))
    for (let at = 0; at < part.length; at += WRITTEN_BYTES)
      await file.writeFile(part.subarray(at, at + WRITTEN_BYTES));
}

/** Bytes of the dataset that are handed to the system at once. */
const WRITTEN_BYTES = 1 << 26;

/** The bytes of the file, part by part; views of the dataset where it is in memory. */
export function* trainingDatasetBytes(dataset: TrainingDataset): Generator<Uint8Array> {
  const { rows, columns, inputs, texts, labels, weights, groups } = dataset;
  const start = magic.length + 4;
  const plain = JSON.stringify({ rows, columns, inputs, texts, ...(groups ? { groups: true } : {}) });
  const header = Buffer.from(plain.padEnd(plain.length + paddingOf(start + Buffer.byteLength(plain))));
  const beginning = Buffer.alloc(start);
  beginning.write(magic, 0, 'latin1');
  beginning.writeUInt32LE(header.length, magic.length);
  yield beginning;
  yield header;
  const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  for (const { cells } of cellBlocks(dataset)) yield bytesOf(cells);
  yield bytesOf(labels);
  yield bytesOf(weights);
  if (groups) yield bytesOf(groups);
}

function paddingOf(length: number): number {
  return (alignment - (length % alignment)) % alignment;
}

/** A dataset of a file. Where its rows are read from it as they are needed, the file stays open until it is disposed of. */
export type OpenTrainingDataset = TrainingDataset & Disposable;

/**
 * Opens what {@link writeTrainingDataset} wrote. Cells beyond `heldBytes` stay in the file.
 *
 * @throws a coded error (DATA_LOSS) when the bytes do not fit.
 */
export async function openTrainingDataset(
  path: string,
  heldBytes: number = HELD_BYTES,
  blockRows?: number,
): Promise<OpenTrainingDataset> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const start = magic.length + 4;
  const beginning = await bytesAt(file, 0, Math.min(start, size));
  if (beginning.length < start || beginning.toString('latin1', 0, magic.length) !== magic)
    throw damaged('it does not begin as one');
  const headerEnd = start + beginning.readUInt32LE(magic.length);
  if (headerEnd > size) throw damaged('its header is cut short');
  const header = readHeader((await bytesAt(file, start, headerEnd - start)).toString('utf8'));
  const { rows, columns, inputs, texts } = header;
  const cells = 4 * rows * columns;
  const wanted = cells + 4 * rows * (header.groups ? 3 : 2);
  if (size - headerEnd !== wanted)
    throw damaged(`${rows} rows of ${columns} columns do not take ${size - headerEnd} bytes`);
  const held = cells <= heldBytes;
  const from = headerEnd + (held ? 0 : cells);
  const { buffer } = await bytesAt(file, from, headerEnd + wanted - from);
  const after = held ? cells : 0;
  const stored = held
    ? null
    : new CellFile({
        path,
        offset: headerEnd,
        rows,
        columns,
        ...(blockRows === undefined ? {} : { blockRows }),
      });
  return {
    ...{ rows, columns, ...(inputs ? { inputs } : {}), ...(texts ? { texts } : {}) },
    features: stored ? new StoredCells(stored) : new Float32Array(buffer, 0, rows * columns),
    labels: new Float32Array(buffer, after, rows),
    weights: new Float32Array(buffer, after + 4 * rows, rows),
    ...(header.groups ? { groups: new Uint32Array(buffer, after + 8 * rows, rows) } : {}),
    [Symbol.dispose]: () => stored?.[Symbol.dispose](),
  };
}

/** Reads into a buffer of its own, so that arrays over it are aligned. */
async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled);
    if (bytesRead === 0) throw damaged('it is cut short');
    filled += bytesRead;
  }
  return bytes;
}

interface Header extends Pick<TrainingDataset, 'rows' | 'columns' | 'inputs' | 'texts'> {
  readonly groups: boolean;
}

function readHeader(text: string): Header {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw damaged('its header is not JSON', cause);
  }
  const { rows, columns, groups, inputs, texts } = (header ?? {}) as Partial<Header>;
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
  if (!isCount(rows) || !isCount(columns)) throw damaged('its header names no rows and columns');
  return {
    ...{ rows, columns, groups: groups === true },
    ...(inputs ? { inputs } : {}),
    ...(texts ? { texts } : {}),
  };
}

function damaged(what: string, cause?: unknown): HotloopError {
  return new HotloopError('DATA_LOSS', `the training dataset cannot be read: ${what}`, { cause });
}

/**
 * Holds a dataset to what its loss can learn from.
 *
 * @param classes how many classes the model tells apart, for `cross_entropy`.
 * @throws a coded error (INVALID_ARGUMENT) naming the first row that does not fit.
 */
export function checkTrainingDataset(
  dataset: TrainingDataset,
  loss: LossName | LossSpec,
  classes: number | null,
): void {
  const { name } = lossSpec(loss);
  const { rows, columns, features, labels, weights } = dataset;
  if (features.length !== rows * columns || labels.length !== rows || weights.length !== rows) {
    throw unfit(`${rows} rows of ${columns} columns do not match its ${features.length} feature values`);
  }
  for (const { from, cells } of cellBlocks(dataset)) {
    const bad = cells.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw unfit(`row ${from + Math.floor(bad / columns)}, column ${bad % columns} is ${cells[bad]}`);
  }
  const badWeight = weights.findIndex((weight) => !(weight >= 0 && Number.isFinite(weight)));
  if (badWeight >= 0) throw unfit(`row ${badWeight} has weight ${weights[badWeight]}`);
  if (!weights.some((weight) => weight > 0)) throw unfit('it holds no example of weight above 0');
  if (needsGroups(name) && dataset.groups?.length !== rows) {
    throw unfit(
      `${name} ranks the rows of a group, and the dataset does not say which rows were shown together`,
    );
  }
  const fits = labelRules[name];
  const badLabel = labels.findIndex((label) => !fits(label, classes ?? Number.POSITIVE_INFINITY));
  if (badLabel >= 0) throw unfit(`row ${badLabel} has label ${labels[badLabel]}, which ${name} cannot take`);
}

const labelRules: Readonly<Record<LossName, (label: number, classes: number) => boolean>> = {
  binary_cross_entropy: (label) => label >= 0 && label <= 1,
  cross_entropy: (label, classes) => Number.isInteger(label) && label >= 0 && label < classes,
  mean_squared_error: (label) => Number.isFinite(label),
  mean_absolute_error: (label) => Number.isFinite(label),
  huber: (label) => Number.isFinite(label),
  quantile: (label) => Number.isFinite(label),
  bpr: (label) => label >= 0 && Number.isFinite(label),
  listwise_softmax: (label) => label >= 0 && Number.isFinite(label),
};

function unfit(what: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `the training dataset does not fit: ${what}`);
}
