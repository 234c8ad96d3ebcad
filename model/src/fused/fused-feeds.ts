import { HotloopError } from '@hotloop/proto/errors.ts';
import type { AttributeValue } from '../value.ts';
import { ABSENT_TEXT } from './absent-text.ts';
import type { FusedInput } from './fused-input.ts';

/** Values of one input of a fused file, as a runtime accepts them. */
export interface FusedFeed {
  readonly name: string;
  readonly type: FusedInput['type'];
  readonly dims: readonly [number, number];
  readonly data: Float64Array | Float32Array | Uint8Array | Int8Array | string[];
}

/** One row by input name, such as `request.price`. Null and undefined are absent. */
export type FusedRow = Readonly<Record<string, AttributeValue | null | undefined>>;

/**
 * Converts rows to the inputs of a fused file. An absent value that the model does not allow becomes NaN or the
 * absent text, and the file answers `accepted` false. Flags cannot say so: an absent one becomes false, and `lacksFlag`
 * tells. Throws INVALID_ARGUMENT naming the input for a value of another
 * type.
 */
export function fusedFeeds(inputs: readonly FusedInput[], rows: readonly FusedRow[]): FusedFeed[] {
  return inputs.map((input) => {
    const data = arrayOf(input, rows.length * input.width);
    for (const [at, row] of rows.entries()) {
      const value = row[input.name];
      const values: readonly unknown[] = Array.isArray(value) ? value : [value];
      for (let index = 0; index < input.width; index++)
        data[at * input.width + index] = elementOf(input, values[index], at);
    }
    return { name: input.name, type: input.type, dims: [rows.length, input.width], data };
  });
}

/** Whether a row lacks a flag that must be there, so that it is refused whatever the file says. */
export function lacksFlag(inputs: readonly FusedInput[], row: FusedRow): boolean {
  return inputs.some(({ type, name }) => type === 'bool' && (row[name] === undefined || row[name] === null));
}

function arrayOf(input: FusedInput, length: number): FusedFeed['data'] {
  switch (input.type) {
    case 'float64':
      return new Float64Array(length);
    case 'float32':
      return new Float32Array(length);
    case 'bool':
      return new Uint8Array(length);
    case 'int8':
      return new Int8Array(length);
    case 'string':
      return new Array<string>(length).fill('');
  }
}

function elementOf(input: FusedInput, value: unknown, row: number): never {
  const absent = value === undefined || value === null;
  switch (input.type) {
    case 'float64':
    case 'float32':
      if (absent) return Number.NaN as never;
      if (typeof value === 'number') return value as never;
      break;
    case 'string':
      if (absent) return ABSENT_TEXT as never;
      if (typeof value === 'string') return value as never;
      break;
    case 'bool':
    case 'int8':
      if (absent) return (input.type === 'int8' ? -1 : 0) as never;
      if (typeof value === 'boolean') return Number(value) as never;
  }
  const found = absent ? 'but it is missing' : `not ${JSON.stringify(value)?.slice(0, 80)}`;
  throw new HotloopError('INVALID_ARGUMENT', `row ${row}: ${input.name} must be ${input.type}, ${found}`, {
    reason: 'mistyped_feature',
  });
}
