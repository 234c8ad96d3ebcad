import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';

/** A logged row of features, float32 little-endian; the first row where there are several. */
export type SliceNames = (features: Buffer | null) => readonly string[];

/**
 * The slices of a prediction, one for each named feature: by category if the feature is one_hot, else by its value.
 * Features that are not in the manifest, and rows that were not logged, have no slice. Pure.
 */
export function sliceNames(manifest: Manifest, names: readonly string[]): SliceNames {
  const layout = columnsOf(manifest);
  if (names.length === 0 || !layout.isMatrix) return () => [];
  const keys = columnKeys(manifest);
  const places = names.flatMap((name) => {
    const place = layout.features.find((feature) => feature.name === name);
    if (!place || place.width === 0) return [];
    const categories = keys.filter(({ feature }) => feature === name).map(({ category }) => category);
    return [{ ...place, categories }];
  });
  return (features) => {
    if (features === null || features.length < layout.width * 4) return [];
    const at = (column: number) => features.readFloatLE(column * 4);
    return places.map(({ name, offset, width, categories }) => {
      if (width === 1 && categories[0] === null) return `${name} = ${Number(at(offset).toPrecision(4))}`;
      for (let column = 0; column < width; column++)
        if (at(offset + column) > 0.5) return `${name} = ${categories[column] ?? column}`;
      return `${name} = other`;
    });
  };
}
