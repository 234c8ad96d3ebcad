/**
 * What is known about a value with respect to the rows of a batch.
 *
 * `constant`: the same for every request. `rows`: a tensor with the rows along `axis`, in which the elements of one row
 * depends on that row alone; `dims` are its dimensions, null where unknown (the row axis always is). `sizes`: a vector
 * (or scalar) of dimensions, as returned by Shape; 'rows' is the number of rows. `mixed`: everything else.
 */
export type RowValue =
  | {
      readonly kind: 'constant';
      readonly dims: readonly (number | null)[] | null;
      readonly integers?: readonly number[];
    }
  | { readonly kind: 'rows'; readonly axis: number; readonly dims: readonly (number | null)[] }
  | { readonly kind: 'sizes'; readonly elements: readonly Size[]; readonly isScalar: boolean }
  | { readonly kind: 'mixed' };

/** One dimension: a number, the number of rows, or an unknown number that is the same for every row. */
export type Size = number | 'rows' | null;

export type Rows = Extract<RowValue, { kind: 'rows' }>;

export const MIXED: RowValue = { kind: 'mixed' };

export function rows(axis: number, dims: readonly (number | null)[]): RowValue {
  if (axis < 0 || axis >= dims.length) return MIXED;
  return { kind: 'rows', axis, dims: dims.map((dim, at) => (at === axis ? null : dim)) };
}

/** Rows along an axis of a tensor with `rank` dimensions, all unknown. */
export function rowsOfRank(axis: number, rank: number): RowValue {
  return rows(
    axis,
    Array.from({ length: rank }, () => null),
  );
}

export function normalAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}
