import { type LoggedInputs, loggedRows, type TextTable } from '@hotloop/model/features/flat-rows.ts';
import type { SketchLayout } from './sketches/feature-sketch.ts';

/** How a model's inputs stand in a flat row, one input after another. */
export type FlatLayout = Pick<SketchLayout, 'width' | 'inputs' | 'isMatrix'>;

/** What the log's `columns` says of rows of this form: 0 where it holds one tensor for each input. */
export const loggedColumns = ({ isMatrix, width }: FlatLayout): number => (isMatrix ? width : 0);

/**
 * The inputs of a logged prediction, float32[rows x width], row by row; texts by their places in the table. Null where the log
 * does not hold them in the form of this version.
 */
export function loggedValues(
  logged: LoggedInputs,
  layout: FlatLayout,
  texts: TextTable,
): Float32Array | null {
  if (layout.width === 0 || logged.columns !== loggedColumns(layout)) return null;
  return loggedRows(layout.inputs, logged, texts);
}

/** Columns of the log that {@link loggedValues} reads. */
export const LOGGED_INPUTS = `"rows", "columns", features, CASE WHEN "columns" = 0 THEN input_spec ELSE '[]' END AS input_spec`;

/** Parts end to end. */
export function joinedValues(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
