import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { baselineOf, sketchLayout } from './sketches/feature-sketch.ts';
import { writeBaseline } from './sketches/sketch-store.ts';

/** The rows that a version was trained on. */
export interface TrainedRows {
  readonly rows: number;
  readonly columns: number;
  readonly features: Float32Array;
}

/**
 * Keeps what the features looked like in a version's training, in the transaction that registers it. Rows whose columns
 * the manifest does not lay out as one matrix are not summarised; the version is then compared with its first week.
 */
export async function keepBaseline(
  database: Queryable,
  manifest: Manifest,
  version: number,
  { rows, columns, features }: TrainedRows,
): Promise<void> {
  if (rows === 0 || sketchLayout(manifest).width !== columns) return;
  await writeBaseline(database, manifest.name, version, 'training', baselineOf(manifest, features, rows));
}
