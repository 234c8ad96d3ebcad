import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import {
  addRows,
  baselineOf,
  type FeatureSketches,
  type SketchLayout,
  sketchLayout,
} from './sketches/feature-sketch.ts';
import { writeBaseline, writeSample } from './sketches/sketch-store.ts';
import { TextHashes } from './sketches/text-hashes.ts';
import { slicesOfRows } from './slices.ts';

/** The rows that a version was trained on. */
export interface TrainedRows {
  readonly rows: number;
  readonly columns: number;
  readonly features: Float32Array;
  /** What the cells of text inputs are places of. */
  readonly texts?: readonly string[];
}

/** Rows that are kept as they are, at even distances, for the classifier that tells rows of today apart from them. */
export const SAMPLED_ROWS = 2_000;
/** Values of a sample at most: 8 MB. */
const SAMPLED_VALUES = 2_000_000;

/**
 * Keeps what the features looked like in a version's training, as a whole and by slice, in the transaction that registers
 * it. Rows of other columns than the manifest's are not summarised; the version is then compared with its first week.
 */
export async function keepBaseline(
  database: Queryable,
  manifest: Manifest,
  version: number,
  given: TrainedRows,
): Promise<void> {
  const { rows, columns } = given;
  const layout = sketchLayout(manifest);
  if (rows === 0 || layout.width !== columns) return;
  const trained = hashed(given, layout);
  const { features } = trained;
  const { name } = manifest;
  await writeBaseline(database, name, version, 'training', baselineOf(manifest, features, rows));
  for (const [slice, sketches] of sliceBaselines(manifest, trained))
    await writeBaseline(database, name, version, 'training', sketches, slice);
  if (columns * Math.min(rows, SAMPLED_ROWS) <= SAMPLED_VALUES)
    await writeSample(database, name, version, sampleOf(trained));
}

/** Rows whose texts stand by their hashes, as the log's rows are summarised. */
function hashed(trained: TrainedRows, { features: layout, width }: SketchLayout): TrainedRows {
  const { texts, rows } = trained;
  const cells = layout.filter(({ isText }) => isText);
  if (texts === undefined || cells.length === 0) return trained;
  const hashes = texts.map((text) => new TextHashes().placeOf(text));
  const features = trained.features.slice();
  for (let row = 0; row < rows; row++)
    for (const { offset, width: own } of cells)
      for (let at = row * width + offset; at < row * width + offset + own; at++)
        features[at] = hashes[features[at]!] ?? 0;
  return { ...trained, features };
}

function sliceBaselines(manifest: Manifest, { rows, columns, features }: TrainedRows) {
  const layout = sketchLayout(manifest);
  const slicesOf = slicesOfRows(manifest, layout);
  const found = new Map<string, FeatureSketches>();
  if (!slicesOf) return found;
  const members = new Map<string, number[]>();
  for (let row = 0; row < rows; row++)
    for (const slice of slicesOf(features, row * columns)) {
      const own = members.get(slice);
      if (own) own.push(row);
      else members.set(slice, [row]);
    }
  for (const [slice, own] of members) {
    const values = new Float32Array(own.length * columns);
    for (const [at, row] of own.entries())
      values.set(features.subarray(row * columns, (row + 1) * columns), at * columns);
    const sketches: FeatureSketches = new Map();
    addRows(sketches, layout, {
      ...{ rows: own.length, columns, features: values, statuses: new Uint8Array(0) },
    });
    found.set(slice, sketches);
  }
  return found;
}

function sampleOf({ rows, columns, features }: TrainedRows): TrainedRows {
  const count = Math.min(rows, SAMPLED_ROWS);
  const values = new Float32Array(count * columns);
  for (let at = 0; at < count; at++) {
    const row = Math.floor((at * rows) / count);
    values.set(features.subarray(row * columns, (row + 1) * columns), at * columns);
  }
  return { rows: count, columns, features: values };
}
