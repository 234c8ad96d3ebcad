import { columnsOf, type FeatureColumns } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Durability } from '@hotloop/platform/journal/journal.ts';

/** What the log keeps of a version's predictions; derived once from the manifest. */
export interface LogPolicy {
  readonly durability: Durability;
  /**
   * False: the tensors of this prediction are not logged. Depends only on the id, so it is the same on every node and
   * at every retry.
   */
  keepsTensors(predictionId: string): boolean;
  /** True for inputs and outputs that are hidden by their name. */
  hides(tensor: string): boolean;
  /**
   * True when features are hidden. Inputs that are not feature rows are then not logged, because their columns cannot
   * be matched to features.
   */
  readonly hidesFeatures: boolean;
  /**
   * Number of columns of a row of the manifest's features. In rows of another width, columns cannot be matched to
   * features.
   */
  readonly width: number;
  /**
   * The feature rows that may be logged; the given bytes themselves when nothing is hidden. When features are hidden,
   * `columns` must equal `width`.
   */
  features(features: Uint8Array, rows: number, columns: number): Uint8Array;
  entities(entities: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
}

export function logPolicyOf(manifest: Manifest): LogPolicy {
  const { durability, sample, redact } = manifest.log;
  const hidden = new Set(redact);
  const { width, features: all } = columnsOf(manifest);
  const hiddenColumns = all.filter((feature) => hidden.has(feature.name));
  return {
    durability,
    keepsTensors: (predictionId) => sample >= 1 || share(predictionId) < sample,
    hides: (tensor) => hidden.has(tensor),
    hidesFeatures: hiddenColumns.length > 0,
    width,
    features: (features, rows, columns) =>
      hiddenColumns.length === 0 ? features : blank(features, rows, columns, hiddenColumns),
    entities: (entities) =>
      hidden.size === 0
        ? entities
        : Object.fromEntries(Object.entries(entities).filter(([name]) => !hidden.has(name))),
  };
}

/** A number from 0 to 1 taken from the random bits of the id. */
function share(predictionId: string): number {
  return Number.parseInt(predictionId.slice(-8), 16) / 2 ** 32;
}

/** Replaces hidden columns by NaN, which cannot be mistaken for a value. */
function blank(
  features: Uint8Array,
  rows: number,
  columns: number,
  hidden: readonly FeatureColumns[],
): Uint8Array {
  const kept = Buffer.from(features);
  for (let row = 0; row < rows; row++)
    for (const { offset, width } of hidden)
      for (let column = offset; column < offset + width; column++)
        kept.writeFloatLE(Number.NaN, (row * columns + column) * 4);
  return kept;
}
