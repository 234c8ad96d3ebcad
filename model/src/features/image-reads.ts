import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { Attributes } from '../value.ts';
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
    const read = (attributes: Attributes, row: number, candidate?: string): ImageRead[] => {
      const value = attributes[field];
      const of = candidate === undefined ? '' : ` of candidate ${quotedJson(candidate)}`;
      return value === undefined
        ? []
        : [{ feature: name, where: `feature ${name}${of} (${from})`, row, value, settings: image }];
    };
    return kind === 'item'
      ? (ranking ? candidates : []).flatMap(({ id, attributes }, row) => read(attributes, row, id))
      : read(request, 0);
  });
}
