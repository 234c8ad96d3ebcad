import { closeSync, openSync, readSync } from 'node:fs';
import type { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** The cells of a dataset's rows, row-major, in memory or in a file that is read as it is needed. */
export type FeatureCells = Float32Array | StoredCells;

/** Cells of a dataset that are held in memory; more than this stays in a file. */
export const HELD_BYTES = 128 * 1024 * 1024;

/** Rows that follow one another are read together, in blocks of about this size. */
const BLOCK_BYTES = 1024 * 1024;
/** Blocks whose rows are shuffled together. With the 80 that are kept, an epoch reads every block once. */
const WINDOW_BLOCKS = 64;
const KEPT_BLOCKS = 80;

/** Where cells lie in a file, and how much of it is read at once. */
export interface CellPlace {
  readonly path: string;
  /** Byte at which the first cell begins. */
  readonly offset: number;
  readonly rows: number;
  readonly columns: number;
  /** Default: about 1 MiB. */
  readonly blockRows?: number;
}

/** An open file of cells. Keeps the blocks that were read last, so that its memory is bounded. Close it when it is read no more. */
export class CellFile implements Disposable {
  readonly rows: number;
  readonly columns: number;
  readonly blockRows: number;
  readonly #descriptor: number;
  readonly #offset: number;
  readonly #blocks = new Map<number, Float32Array>();
  #isClosed = false;

  /** Throws what opening the file throws. */
  constructor({ path, offset, rows, columns, blockRows }: CellPlace) {
    this.rows = rows;
    this.columns = columns;
    this.blockRows = blockRows ?? Math.max(1, Math.floor(BLOCK_BYTES / (4 * Math.max(1, columns))));
    this.#offset = offset;
    this.#descriptor = openSync(path, 'r');
  }

  /** Rows `number * blockRows` and following. Throws DATA_LOSS where the file ends before them. */
  block(number: number): Float32Array {
    const kept = this.#blocks.get(number);
    if (kept) return kept;
    const from = number * this.blockRows;
    const cells = new Float32Array(Math.min(this.blockRows, this.rows - from) * this.columns);
    const bytes = new Uint8Array(cells.buffer);
    for (let filled = 0; filled < bytes.length; ) {
      const position = this.#offset + from * this.columns * 4 + filled;
      const read = readSync(this.#descriptor, bytes, filled, bytes.length - filled, position);
      if (read === 0) throw new HotloopError('DATA_LOSS', 'the file of the training rows is cut short');
      filled += read;
    }
    const [oldest] = this.#blocks.keys();
    if (oldest !== undefined && this.#blocks.size >= KEPT_BLOCKS) this.#blocks.delete(oldest);
    this.#blocks.set(number, cells);
    return cells;
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#blocks.clear();
    closeSync(this.#descriptor);
  }
}

/** Changes rows in place, [rows, columns] row-major, when they are read. */
export type CellChange = (cells: Float32Array) => void;

/** Rows of a file of cells: all of them, or some in an order. Does not own the file. */
export class StoredCells {
  readonly file: CellFile;
  /** Values in all. */
  readonly length: number;
  readonly #places: Uint32Array | null;
  readonly #change: CellChange | null;

  constructor(file: CellFile, places: Uint32Array | null = null, change: CellChange | null = null) {
    this.file = file;
    this.#places = places;
    this.#change = change;
    this.length = (places?.length ?? file.rows) * file.columns;
  }

  /** A copy of some rows, [rows.length, columns]. */
  read(rows: ArrayLike<number>): Float32Array {
    const { columns, blockRows } = this.file;
    const cells = new Float32Array(rows.length * columns);
    let number = -1;
    let block: Float32Array = cells;
    for (let index = 0; index < rows.length; index++) {
      const place = this.placeOf(rows[index]!);
      const wanted = Math.floor(place / blockRows);
      if (wanted !== number) {
        number = wanted;
        block = this.file.block(wanted);
      }
      const from = (place - wanted * blockRows) * columns;
      cells.set(block.subarray(from, from + columns), index * columns);
    }
    this.#change?.(cells);
    return cells;
  }

  /** The row of the file that a row is. */
  placeOf(row: number): number {
    return this.#places ? this.#places[row]! : row;
  }

  /** The same file's rows, some of them in another order; nothing is copied. */
  pick(rows: ArrayLike<number>): StoredCells {
    const places = Uint32Array.from({ length: rows.length }, (_, index) => this.placeOf(rows[index]!));
    return new StoredCells(this.file, places, this.#change);
  }

  /** The same rows, each changed when it is read. */
  changed(change: CellChange): StoredCells {
    return new StoredCells(this.file, this.#places, change);
  }
}

interface Rows {
  readonly rows: number;
  readonly columns: number;
  readonly features: FeatureCells;
}

/** The cells of some rows, [rows.length, columns], as a copy. */
export function cellsOfRows({ columns, features }: Rows, rows: ArrayLike<number>): Float32Array {
  if (features instanceof StoredCells) return features.read(rows);
  const cells = new Float32Array(rows.length * columns);
  for (let index = 0; index < rows.length; index++) {
    const from = rows[index]! * columns;
    cells.set(features.subarray(from, from + columns), index * columns);
  }
  return cells;
}

/** All cells as one array: the dataset's own where they are in memory, else the whole file. For small datasets. */
export function allCells({ rows, features }: Pick<Rows, 'rows' | 'features'>): Float32Array {
  if (!(features instanceof StoredCells)) return features;
  return features.read(Uint32Array.from({ length: rows }, (_, row) => row));
}

/** All cells in the order of the rows, [rows, columns] at a time: as one block where they are in memory. Not to be changed. */
export function* cellBlocks({ rows, columns, features }: Rows): Generator<{
  readonly from: number;
  readonly rows: number;
  readonly cells: Float32Array;
}> {
  if (!(features instanceof StoredCells)) {
    if (rows > 0) yield { from: 0, rows, cells: features };
    return;
  }
  const most = Math.max(1, Math.floor(BLOCK_BYTES / (4 * Math.max(1, columns))));
  for (let from = 0; from < rows; from += most) {
    const count = Math.min(most, rows - from);
    yield {
      from,
      rows: count,
      cells: features.read(Uint32Array.from({ length: count }, (_, row) => from + row)),
    };
  }
}

/**
 * Shuffles rows in place: all with all where their cells are in memory or fit a window; otherwise blocks of the file are drawn in random
 * order and the rows of 64 of them are shuffled together, so that an epoch reads the file once. The same seed gives the same order.
 */
export function shuffleRows(rows: Uint32Array, features: FeatureCells, random: SeededRandom): void {
  if (!(features instanceof StoredCells) || fitsWindow(features)) {
    random.shuffle(rows);
    return;
  }
  const { blockRows } = features.file;
  const ordered = rows.slice().sort();
  const starts: number[] = [];
  let last = -1;
  for (let at = 0; at < ordered.length; at++) {
    const block = Math.floor(features.placeOf(ordered[at]!) / blockRows);
    if (block !== last) starts.push(at);
    last = block;
  }
  const blocks = starts.map((from, index) => [from, starts[index + 1] ?? ordered.length] as const);
  random.shuffle(blocks as unknown[]);
  let filled = 0;
  for (let first = 0; first < blocks.length; first += WINDOW_BLOCKS) {
    const begun = filled;
    for (const [from, to] of blocks.slice(first, first + WINDOW_BLOCKS)) {
      rows.set(ordered.subarray(from, to), filled);
      filled += to - from;
    }
    random.shuffle(rows.subarray(begun, filled));
  }
}

function fitsWindow({ file }: StoredCells): boolean {
  return file.rows <= file.blockRows * WINDOW_BLOCKS;
}
