import type { CompiledFeature } from './compile-feature.ts';
import type { Dtype } from './feature-schema.ts';

/** One ONNX input that features feed. */
export interface InputLayout {
  /** Undefined: the manifest's `input`, or the model's only one. */
  readonly name: string | undefined;
  readonly dtype: Dtype;
  /** Columns per row. */
  readonly width: number;
  /** The tensor shape of one row when a single feature fills it; undefined: a row of numbers. */
  readonly shape: readonly number[] | undefined;
}

/** Position of a feature: its input, and its first column there. Input -1: it has no column. */
export interface Placed {
  readonly input: number;
  readonly offset: number;
  readonly width: number;
}

export interface Layout {
  readonly inputs: readonly InputLayout[];
  readonly placed: readonly Placed[];
  /** All features feed one float32 matrix, which the log stores as a table of feature rows. */
  readonly isMatrix: boolean;
}

/**
 * Assigns the columns of each input in the order of the manifest. Throws RangeError when features of one input have
 * different types.
 */
export function layOut(features: readonly CompiledFeature[]): Layout {
  const inputs: InputLayout[] = [];
  const placed = features.map((feature): Placed => {
    const { input: name, encoder, width, hidden } = feature;
    if (hidden) return { input: -1, offset: 0, width: 0 };
    const found = inputs.findIndex((other) => other.name === name);
    const before = inputs[found];
    if (before === undefined) {
      const shape = encoder.shape !== undefined && feature.values === 1 ? encoder.shape : undefined;
      inputs.push({ name, dtype: encoder.dtype, width, shape });
      return { input: inputs.length - 1, offset: 0, width };
    }
    const where = name === undefined ? 'the one input' : `input ${name}`;
    if (before.dtype !== encoder.dtype)
      throw new RangeError(
        `${feature.name} is ${encoder.dtype}, but ${where} holds ${before.dtype}; name another input, or set dtype`,
      );
    if (before.shape !== undefined || encoder.shape !== undefined)
      throw new RangeError(`${feature.name} shares ${where} with a feature that fills it alone`);
    inputs[found] = { ...before, width: before.width + width };
    return { input: found, offset: before.width, width };
  });
  const [only] = inputs;
  const isMatrix =
    inputs.length <= 1 && (only?.dtype ?? 'float32') === 'float32' && only?.shape === undefined;
  return { inputs, placed, isMatrix };
}
