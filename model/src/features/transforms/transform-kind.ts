import type { z } from 'zod';
import type { ImageSettings } from '../image.ts';
import type { RawType } from '../raw-value.ts';

/** What stands before a transform: raw values of a type, or numbers that an earlier transform made. */
export type Before = RawType | 'numbers';

/**
 * What a transform becomes. A plan runs each stage over all values of a feature at once, in arrays that it keeps: the
 * first `count` places of `raw` and `numbers` hold the values.
 *
 * - `numbers` changes numbers in place.
 * - `encode` makes a number of each raw value. `whole`: the numbers are indices, so their natural type is int64.
 * - `columns` ends the chain: it writes `width` columns of one value into `out` from `at`, which hold zeros, and returns false
 *   when one is not a finite float32. `shape`: the columns are a tensor of that shape, row major. `image`: raw values are pictures that
 *   must be decoded so before the plan runs.
 */
export type Stage =
  | { readonly stage: 'numbers'; apply(numbers: Float64Array, count: number): void }
  | {
      readonly stage: 'encode';
      readonly whole: boolean;
      apply(raw: readonly unknown[], numbers: Float64Array, count: number): void;
    }
  | {
      readonly stage: 'columns';
      readonly width: number;
      readonly reads: 'raw' | 'numbers';
      readonly shape?: readonly number[];
      readonly image?: ImageSettings;
      write(
        raw: readonly unknown[],
        numbers: Float64Array,
        index: number,
        out: Float32Array,
        at: number,
      ): boolean;
    };

/** One step from raw values to columns: one file each in this folder, listed in `registry.ts`. */
export interface TransformKind {
  /** As written in model.yaml: the word itself, or the key of an object. */
  readonly name: string;
  readonly schema: z.ZodType;
  readonly documentation: string;
  /** One entry of `transform`, as in model.yaml. */
  readonly example: string;
  /** The type of a feature that declares none and begins with this. */
  typeBefore(entry: unknown): RawType;
  /** `entry` is what the schema gave. Throws RangeError when it does not fit itself or what stands before. */
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

/** A transform that changes each number by itself. */
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
