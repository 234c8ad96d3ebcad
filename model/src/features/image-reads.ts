import type { CompiledFeature } from './compile-feature.ts';
import type { ImageRead } from './image.ts';
import type { FeatureInput } from './plan-input.ts';

/** The images of one prediction: of the request once, of items per candidate; absent images are left out. */
export function imageReads(
  features: readonly CompiledFeature[],
  { request, candidates }: FeatureInput,
  ranking: boolean,
): ImageRead[] {
  return features.flatMap(({ name, from, image }) => {
    if (image === undefined) return [];
    const [kind, field = ''] = from.split('.');
    const rows =
      kind === 'item' ? (ranking ? candidates : []).map(({ attributes }) => attributes) : [request];
    return rows.flatMap((attributes, row) => {
      const value = attributes[field];
      return value === undefined ? [] : [{ feature: name, row, value, settings: image }];
    });
  });
}
