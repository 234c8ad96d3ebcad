import type { z } from 'zod';
import type { ImageSettings } from '../image.ts';
import type { RawType } from '../raw-value.ts';

/** The input of a transform: raw values of a type, or numbers from an earlier transform. */
export type Before = RawType | 'numbers';

/**
 * A compiled transform. A plan runs each stage over all values of a feature at once, in arrays that it reuses: the
 * first `count` elements of `raw` and `numbers` contain the values.
 *
 * - `numbers` changes numbers in place.
 * - `encode` converts each raw value to a number. `whole`: the numbers are indices, so their natural type is int64.
 * - `columns` ends the chain: it writes `width` columns of one value into `out` from `at`, which are zero before, and returns false
 *   when one is not a finite float32. `shape`: the columns are a tensor of that shape, row major. `image`: raw values are images that
 *   must be decoded so before the plan runs.
 *
 * `expects` says, for messages, which values of the raw type become a number; without it, all finite ones do.
 */
export type Stage =
  | { readonly stage: 'numbers'; apply(numbers: Float64Array, count: number): void }
  | {
      readonly stage: 'encode';
      readonly whole: boolean;
      readonly expects?: string;
      apply(raw: readonly unknown[], numbers: Float64Array, count: number): void;
    }
  | {
      readonly stage: 'columns';
      readonly width: number;
      readonly reads: 'raw' | 'numbers';
      readonly shape?: readonly number[];
      readonly image?: ImageSettings;
      readonly expects?: string;
      write(
        raw: readonly unknown[],
        numbers: Float64Array,
        index: number,
        out: Float32Array,
        at: number,
      ): boolean;
    };

/** One step from raw values to columns: one file per transform in this folder, listed in `registry.ts`. */
export interface TransformKind {
  /** As written in model.yaml: the word itself, or the key of an object. */
  readonly name: string;
  readonly schema: z.ZodType;
  readonly documentation: string;
  /** One entry of `transform`, as in model.yaml. */
  readonly example: string;
  /** The type of a feature that declares none and starts with this transform. */
  typeBefore(entry: unknown): RawType;
  /** `entry` is parsed by the schema. Throws RangeError when it is inconsistent or does not fit its input. */
  compile(entry: unknown, before: Before): Stage;
}

/** Keeps the schema's type with the kind. */
export function transformKind<S extends z.ZodType>(kind: {
  readonly name: string;
  readonly schema: S;
  readonly documentation: string;
  readonly example: string;
  typeBefore(entry: z.output<S>): RawType;
  compile(entry: z.output<S>, before: Before): Stage;
}): TransformKind & { readonly schema: S } {
  return kind;
}

/** A transform that changes each number independently. */
export function numberTransform<S extends z.ZodType>(kind: {
  readonly name: string;
  readonly schema: S;
  readonly documentation: string;
  readonly example: string;
  apply(entry: z.output<S>): (numbers: Float64Array, count: number) => void;
}): TransformKind & { readonly schema: S } {
  return {
    ...kind,
    typeBefore: () => 'number',
    compile(entry, before) {
      if (before === 'text' || before === 'texts')
        throw new RangeError(`${kind.name} needs a number, but the value is a ${before}`);
      return { stage: 'numbers', apply: kind.apply(entry as z.output<S>) };
    },
  };
}
