import { compileFeatures } from '../features/compile-feature.ts';
import { type InputLayout, layOut } from '../features/input-layout.ts';
import type { Manifest } from './manifest.ts';

export interface FeatureColumns {
  readonly name: string;
  /** First column of the feature in a row of all inputs, one input after another. */
  readonly offset: number;
  /** Number of columns; 0 for a hidden feature. */
  readonly width: number;
  /** The ONNX input it feeds; undefined: the only one. */
  readonly input: string | undefined;
}

/** Position of each feature, in the order of the manifest. */
export interface Columns {
  /** Columns per row, over all inputs. */
  readonly width: number;
  readonly features: readonly FeatureColumns[];
  readonly inputs: readonly InputLayout[];
  /** All features together are one row float32[width] of one input. */
  readonly isMatrix: boolean;
}

/** Throws RangeError when a feature cannot be compiled, which cannot happen for a parsed manifest. */
export function columnsOf(manifest: Pick<Manifest, 'features' | 'task'>): Columns {
  const compiled = compileFeatures(manifest.features, manifest.task === 'ranking');
  const { inputs, placed, isMatrix } = layOut(compiled);
  let width = 0;
  const starts = inputs.map((input) => {
    const start = width;
    width += input.width;
    return start;
  });
  return {
    width,
    features: compiled.map(({ name, input }, index) => {
      const place = placed[index] ?? { input: -1, offset: 0, width: 0 };
      return { name, offset: (starts[place.input] ?? 0) + place.offset, width: place.width, input };
    }),
    inputs,
    isMatrix,
  };
}
