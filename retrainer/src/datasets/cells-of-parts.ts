import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CellFile, type FeatureCells, StoredCells } from '../training/feature-cells.ts';

/**
 * Sorts vectors that are read row group by row group into the parts of a dataset: in memory, or in one temporary file, part after
 * part. The file has no name any more once it is finished, so that nothing of it is left when the process ends.
 */
export class CellsOfParts implements AsyncDisposable {
  readonly #columns: number;
  readonly #counts: readonly number[];
  /** The row of each part that is written next; in the file all parts follow one another. */
  readonly #next: number[];
  readonly #held: readonly Float32Array[] | null;
  readonly #folder: string | null;
  readonly #file: FileHandle | null;

  private constructor(
    counts: readonly number[],
    columns: number,
    stored: { readonly folder: string; readonly file: FileHandle } | null,
  ) {
    this.#counts = counts;
    this.#columns = columns;
    this.#folder = stored?.folder ?? null;
    this.#file = stored?.file ?? null;
    this.#held = stored ? null : counts.map((rows) => new Float32Array(rows * columns));
    this.#next = stored ? startsOf(counts) : counts.map(() => 0);
  }

  /** @param counts rows of each part. Cells beyond `heldBytes` are written into a file. */
  static async open(counts: readonly number[], columns: number, heldBytes: number): Promise<CellsOfParts> {
    const rows = counts.reduce((sum, count) => sum + count, 0);
    if (rows * columns * 4 <= heldBytes) return new CellsOfParts(counts, columns, null);
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-rows-'));
    const file = await open(join(folder, 'cells'), 'wx', 0o600);
    return new CellsOfParts(counts, columns, { folder, file });
  }

  /** @param vectors [rows, columns]. @param parts the part of each row; a row of no part is left out. */
  async append(vectors: Float32Array, parts: Uint8Array): Promise<void> {
    const columns = this.#columns;
    for (const [part] of this.#counts.entries()) {
      const own = new Float32Array(parts.reduce((sum, one) => sum + Number(one === part), 0) * columns);
      if (own.length === 0) continue;
      let at = 0;
      for (let row = 0; row < parts.length; row++) {
        if (parts[row] !== part) continue;
        own.set(vectors.subarray(row * columns, (row + 1) * columns), at);
        at += columns;
      }
      const first = this.#next[part]!;
      this.#next[part]! += own.length / columns;
      if (this.#held) this.#held[part]!.set(own, first * columns);
      else await writeAt(this.#file!, new Uint8Array(own.buffer), first * columns * 4);
    }
  }

  /** The cells of each part, and what closes the file that they may be in. */
  async finish(): Promise<{ readonly features: readonly FeatureCells[]; readonly close: () => void }> {
    if (this.#held) return { features: this.#held, close: () => undefined };
    const rows = this.#counts.reduce((sum, count) => sum + count, 0);
    const file = new CellFile({
      path: join(this.#folder!, 'cells'),
      offset: 0,
      rows,
      columns: this.#columns,
    });
    const starts = startsOf(this.#counts);
    const features = this.#counts.map(
      (count, part) =>
        new StoredCells(
          file,
          Uint32Array.from({ length: count }, (_, row) => starts[part]! + row),
        ),
    );
    return { features, close: () => file[Symbol.dispose]() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close();
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }
}

function startsOf(counts: readonly number[]): number[] {
  return counts.map((_, part) => counts.slice(0, part).reduce((sum, count) => sum + count, 0));
}

async function writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; )
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
}
