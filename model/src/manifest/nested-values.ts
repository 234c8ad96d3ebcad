import type { NestedValues } from './golden-schema.ts';

export type Element = number | string | boolean;

export interface FlatValues {
  readonly shape: readonly number[];
  /** Row-major. */
  readonly elements: readonly Element[];
}

/** The shape and the elements of nested lists. Throws RangeError when lists of one level differ, or one is empty. */
export function flattenValues(values: NestedValues): FlatValues {
  if (!isList(values)) return { shape: [], elements: [values] };
  const inner = values.map(flattenValues);
  const [first] = inner;
  if (!first) throw new RangeError('contains an empty list');
  for (const [index, { shape }] of inner.entries())
    if (shape.join() !== first.shape.join() || shape.length !== first.shape.length)
      throw new RangeError(`is ragged: entry ${index} has shape [${shape}], entry 0 has [${first.shape}]`);
  return { shape: [inner.length, ...first.shape], elements: inner.flatMap(({ elements }) => elements) };
}

/** The inverse: nests elements, in row-major order, into lists of a shape. */
export function nestValues(elements: readonly Element[], shape: readonly number[]): NestedValues {
  const [length, ...rest] = shape;
  if (length === undefined) return elements[0] ?? 0;
  const size = elements.length / length;
  return Array.from({ length }, (_, index) =>
    nestValues(elements.slice(index * size, (index + 1) * size), rest),
  );
}

function isList(values: NestedValues): values is readonly NestedValues[] {
  return Array.isArray(values);
}
