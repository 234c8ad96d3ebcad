import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { flatRows, rowInputs, type TextTable } from '@hotloop/model/features/flat-rows.ts';
import { columnDifference, columnKeys, describeDifference } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** How rows with some columns become rows of the wanted ones. */
export interface ColumnMap {
  /** Width of the rows that come in. */
  readonly width: number;
  /** Writes one row from `from` of `vector` into `out` at `to`. */
  write(vector: Float32Array, from: number, out: Float32Array, to: number): void;
  /** What was filled in or dropped, as a sentence; null when the columns are the same. */
  readonly note: string | null;
}

/**
 * Matches columns by feature, definition and category. A new category is 0 in old rows; a new feature takes its declared missing
 * value. A column that is gone is dropped.
 *
 * @param keys of the columns of the rows, as `columnKeys` gives them.
 * @param older their manifest, for the words of the note; null where it is not known.
 * @param texts where missing texts are kept.
 * @returns the map, or why such rows cannot be used.
 */
export function mapColumns(
  keys: readonly string[],
  wanted: Manifest,
  older: Manifest | null,
  texts: TextTable,
): ColumnMap | { readonly problem: string } {
  const placeOf = new Map(keys.map((key, place) => [key, place]));
  const target = columnKeys(wanted);
  const sources = new Int32Array(target.length).fill(-1);
  const fill = new Float32Array(target.length);
  const knownFeatures = new Set<string>();
  for (const [column, { key, feature }] of target.entries()) {
    const place = placeOf.get(key);
    if (place === undefined) continue;
    sources[column] = place;
    knownFeatures.add(feature);
  }
  const { features } = columnsOf(wanted);
  for (const [index, { name, offset, width }] of features.entries()) {
    // Where only some columns are known, the others are newer categories: 0 in old rows.
    if (width === 0 || knownFeatures.has(name)) continue;
    const missing = missingOf(wanted, index, texts);
    if (missing === null)
      return {
        problem: `feature ${name} is new or computed differently, and declares no missing value to fill in`,
      };
    fill.set(missing, offset);
  }
  const isSame = keys.length === target.length && sources.every((place, column) => place === column);
  const difference = older === null || isSame ? null : columnDifference(older, wanted);
  return {
    width: keys.length,
    note: isSame ? null : difference === null ? 'columns differ' : describeDifference(difference),
    write(vector, from, out, to) {
      if (isSame) {
        out.set(vector.subarray(from, from + sources.length), to);
        return;
      }
      for (let column = 0; column < sources.length; column++) {
        const place = sources[column]!;
        out[to + column] = place < 0 ? fill[column]! : vector[from + place]!;
      }
    },
  };
}

/** The columns of a feature that is absent, or null when it is required. */
function missingOf(manifest: Manifest, index: number, texts: TextTable): Float32Array | null {
  const alone: Manifest = { ...manifest, features: [manifest.features[index]!] };
  const candidates = manifest.task === 'ranking' ? [{ id: '', attributes: {} }] : [];
  try {
    const plan = compileFeaturePlan({ ...alone, decision: { ...alone.decision, rank: undefined } });
    const input = { request: {}, entities: {}, candidates };
    return flatRows(rowInputs(columnsOf(alone), manifest.input), plan.run(input, null, 0), texts);
  } catch (error) {
    if (error instanceof HotloopError) return null;
    throw error;
  }
}
