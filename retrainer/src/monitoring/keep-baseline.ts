import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import { cellBlocks, cellsOfRows } from '../training/feature-cells.ts';
import type { TrainingDataset } from '../training/training-dataset.ts';
import {
  addRows,
  type FeatureSketches,
  type LoggedRows,
  type SketchLayout,
  sketchLayout,
} from './sketches/feature-sketch.ts';
import { type SampledRows, writeBaseline, writeSample } from './sketches/sketch-store.ts';
import { TextHashes } from './sketches/text-hashes.ts';
import { type SlicesOfRow, slicesOfRows } from './slices.ts';

/** The rows that a version was trained on. */
export type TrainedRows = Pick<TrainingDataset, 'rows' | 'columns' | 'features' | 'texts'>;

/** Number of rows kept unchanged, evenly spaced, for the classifier that separates today's rows from them. */
export const SAMPLED_ROWS = 2_000;
/** Maximum number of values in a sample: 8 MB. */
const SAMPLED_VALUES = 2_000_000;

/**
 * Stores the distribution of the features in a version's training, as a whole and by slice, in the transaction that registers
 * it. Rows whose columns differ from the manifest's are not summarised; the version is then compared with its first week.
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
  const { name } = manifest;
  const slicesOf = slicesOfRows(manifest, layout);
  const whole: FeatureSketches = new Map();
  const slices = new Map<string, FeatureSketches>();
  for (const block of cellBlocks(given)) {
    const features = hashed(block.cells, given, layout);
    addRows(whole, layout, blockOf(features, columns));
    if (slicesOf) addSlices(slices, slicesOf, layout, features);
  }
  await writeBaseline(database, name, version, 'training', whole);
  for (const [slice, sketches] of slices)
    await writeBaseline(database, name, version, 'training', sketches, slice);
  if (columns * Math.min(rows, SAMPLED_ROWS) <= SAMPLED_VALUES)
    await writeSample(database, name, version, sampleOf(given, layout));
}

/** Cells with texts replaced by their hashes, as in the summaries of the log. */
function hashed(
  features: Float32Array,
  { texts }: TrainedRows,
  { features: layout, width }: SketchLayout,
): Float32Array {
  const cells = layout.filter(({ isText }) => isText);
  if (texts === undefined || cells.length === 0) return features;
  const changed = features.slice();
  const hashes = new Map<number, number>();
  for (let start = 0; start < changed.length; start += width)
    for (const { offset, width: own } of cells)
      for (let at = start + offset; at < start + offset + own; at++) {
        const place = changed[at]!;
        const hash = hashes.get(place) ?? new TextHashes().placeOf(texts[place] ?? '');
        hashes.set(place, hash);
        changed[at] = hash;
      }
  return changed;
}

function addSlices(
  slices: Map<string, FeatureSketches>,
  slicesOf: SlicesOfRow,
  layout: SketchLayout,
  features: Float32Array,
): void {
  const columns = layout.width;
  const members = new Map<string, number[]>();
  for (let from = 0; from < features.length; from += columns)
    for (const slice of slicesOf(features, from)) {
      const own = members.get(slice);
      if (own) own.push(from);
      else members.set(slice, [from]);
    }
  for (const [slice, own] of members) {
    const values = new Float32Array(own.length * columns);
    for (const [at, from] of own.entries()) values.set(features.subarray(from, from + columns), at * columns);
    const sketches: FeatureSketches = slices.get(slice) ?? new Map();
    addRows(sketches, layout, blockOf(values, columns));
    slices.set(slice, sketches);
  }
}

function blockOf(features: Float32Array, columns: number): LoggedRows {
  return { rows: features.length / columns, columns, features, statuses: new Uint8Array(0) };
}

function sampleOf(trained: TrainedRows, layout: SketchLayout): SampledRows {
  const count = Math.min(trained.rows, SAMPLED_ROWS);
  const places = Uint32Array.from({ length: count }, (_, at) => Math.floor((at * trained.rows) / count));
  const features = hashed(cellsOfRows(trained, places), trained, layout);
  return { rows: count, columns: trained.columns, features };
}
