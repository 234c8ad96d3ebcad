import { columnsOf, type FeatureColumns } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Durability } from '@hotloop/platform/journal/journal.ts';

/** What the log keeps of a version's predictions, worked out once from the manifest. */
export interface LogPolicy {
  readonly durability: Durability;
  /** False leaves the tensors of this prediction out. The same answer for an id on every node and at every retry. */
  keepsTensors(predictionId: string): boolean;
  /** True for inputs and outputs that are hidden by their name. */
  hides(tensor: string): boolean;
  /** True when features are hidden: inputs that are no feature rows, where nobody knows which is which, are then left out. */
  readonly hidesFeatures: boolean;
  /** How many columns a row of the manifest's features has; in rows of another width nobody knows where a feature stands. */
  readonly width: number;
  /**
   * The feature rows as they may be kept; the given bytes themselves when nothing is hidden. Where features are hidden,
   * `columns` must be `width`.
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

/** A number from 0 to 1 drawn from the id's own random bits. */
function share(predictionId: string): number {
  return Number.parseInt(predictionId.slice(-8), 16) / 2 ** 32;
}

/** Hidden columns become NaN: nobody takes them for a value. */
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
