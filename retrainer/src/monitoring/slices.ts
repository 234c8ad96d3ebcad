import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { SketchLayout } from './sketches/feature-sketch.ts';

/** Features whose values define the slices: `monitor.slices`, or else those of the gate. */
export function sliceFeatures(manifest: Manifest): readonly string[] {
  const names = new Set(manifest.features.map(({ name }) => name));
  const wanted = manifest.monitor.slices ?? manifest.training?.gate.slices ?? [];
  return wanted.filter((name) => names.has(name)).slice(0, 5);
}

/** Maximum number of summarised slices of a version; rows of other slices count only in the whole. */
export const MOST_SLICES = 40;

/** Names the slices of a logged row that begins at `offset`, such as `country = IT`. Only categories have slices. */
export type SlicesOfRow = (features: Float32Array, offset: number) => readonly string[];

/** How rows of a version are divided into slices; null if they are not. */
export function slicesOfRows(manifest: Manifest, layout: SketchLayout): SlicesOfRow | null {
  const wanted = sliceFeatures(manifest);
  const places = layout.features.filter(({ name, kind }) => kind === 'category' && wanted.includes(name));
  if (places.length === 0) return null;
  let known = 0;
  const names = places.map(({ name, categories }) =>
    categories.map((category) => (known++ < MOST_SLICES ? `${name} = ${category}` : null)),
  );
  return (features, offset) =>
    places.flatMap(({ offset: first, width }, place) => {
      for (let column = 0; column < width; column++)
        if (features[offset + first + column]! > 0.5) return names[place]![column] ?? [];
      return [];
    });
}
