import type { Feature } from '../features/feature-schema.ts';
import type { Manifest } from './manifest.ts';

export interface FeatureColumns {
  readonly name: string;
  /** First column of the feature. */
  readonly offset: number;
  /** How many columns it takes. */
  readonly width: number;
}

/** Where each feature stands in a row float32[F], in the order of the manifest. */
export interface Columns {
  /** F: the sum of the features' widths. */
  readonly width: number;
  readonly features: readonly FeatureColumns[];
}

/** Columns a feature makes: one for each value (last(N) has N), times the number of categories after one_hot. */
export function featureWidth(feature: Feature): number {
  const values = Number(/\.last\((\d+)\)\./.exec(feature.from)?.[1] ?? 1);
  let categories = 1;
  for (const step of feature.transform)
    if (typeof step === 'object' && 'one_hot' in step) categories = step.one_hot.length;
  return values * categories;
}

export function columnsOf(manifest: Manifest): Columns {
  let offset = 0;
  const features = manifest.features.map((feature) => {
    const width = featureWidth(feature);
    const columns = { name: feature.name, offset, width };
    offset += width;
    return columns;
  });
  return { width: offset, features };
}
