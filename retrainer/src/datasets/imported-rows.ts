import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type ParquetReader, ParquetReader as Reader } from '@hotloop/platform/parquet/parquet-file.ts';
import { placesOf } from './dataset.ts';
import { mapColumns } from './map-columns.ts';
import type { RowSpool } from './row-spool.ts';
import { missingNote, type RowUse, rowUse } from './usable-rows.ts';
import { FIRST_FEATURE } from './write-dataset.ts';

/** A dataset that was imported from a file, on this machine. */
export interface ImportedFile {
  readonly sha256: string;
  readonly path: string;
}

/** Appends the rows of imported datasets to a spool, with the columns of `manifest`. Returns what could not be used and why. */
export async function appendImported(
  files: readonly ImportedFile[],
  manifest: Manifest,
  spool: RowSpool,
): Promise<string[]> {
  const notes: string[] = [];
  const useOf = rowUse(manifest);
  for (const { sha256, path } of files) {
    await using reader = await Reader.open(path);
    const keys = JSON.parse(reader.metadata.columns ?? '[]') as string[];
    const map = mapColumns(keys, manifest, null, spool.texts);
    const name = `imported dataset ${sha256.slice(0, 12)}`;
    if ('problem' in map) {
      notes.push(`the ${reader.rows} rows of ${name} are not used: ${map.problem}`);
      continue;
    }
    if (map.note !== null) notes.push(`the rows of ${name} are used with other columns`);
    const missing = await appendFile(reader, map, columnsOf(manifest).width, spool, useOf);
    notes.push(...missingNote(missing, ` of ${name}`));
  }
  return notes;
}

type Map = Exclude<ReturnType<typeof mapColumns>, { problem: string }>;

/** Resolves with how many rows were left out because a value is missing. */
async function appendFile(
  reader: ParquetReader,
  map: Map,
  width: number,
  spool: RowSpool,
  useOf: (vector: Float32Array) => RowUse,
): Promise<number> {
  const columns = map.width;
  let missing = 0;
  for (let group = 0; group < reader.groups.length; group++) {
    const own = await Promise.all([0, 1, 2, 4, 5, 6, 7].map((column) => reader.read(group, column)));
    const [ids, rows, times, labels, weights, sources, versions] = own;
    const features: ArrayLike<number>[] = [];
    for (let column = 0; column < columns; column++)
      features.push(placesOf(await reader.read(group, FIRST_FEATURE + column), spool.texts));
    const vector = new Float32Array(columns);
    for (let row = 0; row < (reader.groups[group] ?? 0); row++) {
      for (let column = 0; column < columns; column++) vector[column] = features[column]![row]!;
      const out = new Float32Array(width);
      map.write(vector, 0, out, 0);
      if (useOf(out) !== 'usable') {
        missing++;
        continue;
      }
      const predictionId = String(ids![row]);
      await spool.append(
        {
          predictionId,
          row: Number(rows![row]),
          at: Number(times![row]),
          label: Number(labels![row]),
          weight: Number(weights![row]),
          source: String(sources![row]),
          version: Number(versions![row]),
          key: predictionId,
        },
        out,
      );
    }
  }
  return missing;
}
