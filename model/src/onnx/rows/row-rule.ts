import type { OnnxNode } from '../model.ts';
import { intsAttribute } from '../node-attributes.ts';
import { MIXED, normalAxis, type Rows, type RowValue, rows } from './row-value.ts';

/**
 * The input of a rule: the node, what is known about its inputs (undefined: omitted), and the operator set's version.
 */
export interface RuleInput {
  readonly node: OnnxNode;
  readonly inputs: readonly (RowValue | undefined)[];
  readonly opset: number;
}

/** Returns what is known about each output; a single value applies to all of them. */
export type RowRule = (input: RuleInput) => RowValue | readonly RowValue[];

export const isConstant = (value: RowValue | undefined): boolean =>
  value === undefined || value.kind === 'constant';
export const rest = (inputs: RuleInput['inputs']) => inputs.slice(1);

/** Integers of a constant; undefined for other values, or for constants too large to be kept. */
export function integersOf(value: RowValue | undefined): readonly number[] | undefined {
  return value?.kind === 'constant' ? value.integers : undefined;
}

/** Axes given as an attribute (older operator sets) or as the second input. */
export function axesOf({ node, inputs }: RuleInput, at: number): readonly number[] | undefined {
  return intsAttribute(node, 'axes') ?? (inputs[at] === undefined ? undefined : integersOf(inputs[at]));
}

/** Rows after the given axes were reduced. */
export function without(first: Rows, axes: readonly number[], keeps: boolean): RowValue {
  const gone = new Set(axes.map((axis) => normalAxis(axis, first.dims.length)));
  if (gone.has(first.axis)) return MIXED;
  if (keeps)
    return rows(
      first.axis,
      first.dims.map((dim, at) => (gone.has(at) ? 1 : dim)),
    );
  const before = [...gone].filter((axis) => axis < first.axis).length;
  return rows(
    first.axis - before,
    first.dims.filter((_, at) => !gone.has(at)),
  );
}
