import type { Dtype } from '@hotloop/model/features/feature-schema.ts';
import type { RowInput } from '@hotloop/model/features/flat-rows.ts';
import { quoted } from '@hotloop/model/onnx/unsound.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { cellsOfRows } from './feature-cells.ts';
import type { TrainingDataset } from './training-dataset.ts';

/** An input as a model declares it; a free dimension is not a number. */
export interface DeclaredInput {
  readonly name: string;
  readonly elementType: string;
  /** With the row dimension; null: not declared. */
  readonly shape: readonly unknown[] | null | undefined;
}

/** An input of a model with the columns of a dataset that fill it. */
export interface BoundInput {
  readonly name: string;
  readonly dtype: Dtype;
  /** First of its columns in a row. */
  readonly start: number;
  readonly width: number;
  /** Of one row's tensor, without the row dimension. */
  readonly rowShape: readonly number[];
}

/**
 * Finds for each input of a model the columns of a dataset that fill it. Throws INVALID_ARGUMENT for an input that nothing fills, or that
 * takes another type or number of values, naming it.
 */
export function bindInputs(
  declared: readonly DeclaredInput[],
  dataset: Pick<TrainingDataset, 'columns' | 'inputs'>,
): BoundInput[] {
  const { columns, inputs } = dataset;
  const given = inputs ?? [{ name: null, dtype: 'float32', width: columns, shape: [columns] } as const];
  let start = 0;
  const bound = given.map((input): BoundInput => {
    const found =
      input.name === null && declared.length === 1
        ? declared[0]
        : declared.find(({ name }) => name === input.name);
    if (!found) throw misfit(declared, `the dataset has columns for ${shownName(input)}`);
    if (found.elementType !== input.dtype)
      throw misfit(declared, `the dataset has ${input.dtype} columns for ${shownName(found)}`);
    const rowShape = rowShapeOf(found, input);
    if (rowShape === null)
      throw misfit(declared, `the dataset has ${input.width} columns for ${shownName(found)}`);
    const own = { name: found.name, dtype: input.dtype, start, width: input.width, rowShape };
    start += input.width;
    return own;
  });
  const hungry = declared.find(({ name }) => !bound.some((one) => one.name === name));
  if (hungry) throw misfit(declared, `the dataset has no columns for ${shownName(hungry)}`);
  return bound;
}

/** The shape of a row that is declared, or that of the columns where it is free; null where they do not fit together. */
function rowShapeOf({ shape }: DeclaredInput, input: RowInput): readonly number[] | null {
  if (!shape) return input.shape;
  const inner = shape.slice(1);
  if (inner.length === 0) return input.width === 1 ? [] : null;
  const free = inner.filter((size) => typeof size !== 'number').length;
  const wanted =
    inner.length === input.shape.length
      ? inner.map((size, axis) => (typeof size === 'number' ? size : input.shape[axis]!))
      : free === 0
        ? (inner as number[])
        : null;
  return wanted?.reduce((a, b) => a * b, 1) === input.width ? wanted : null;
}

function shownName({ name }: { readonly name: string | null }): string {
  return name === null ? 'the only input' : `input ${quoted(name)}`;
}

function misfit(declared: readonly DeclaredInput[], what: string): HotloopError {
  const inputs = declared.map(
    ({ name, elementType, shape }) => `${name} ${elementType}[${(shape ?? ['?']).join(', ')}]`,
  );
  return new HotloopError('INVALID_ARGUMENT', `${what}; the model takes ${inputs.join(', ') || 'nothing'}`);
}

/** The cells of the rows of a dataset as JSON values: of numbers, flags and texts. Nine digits give the same 32-bit float again. */
export function rowValues(
  { dtype, start, width }: Pick<BoundInput, 'dtype' | 'start' | 'width'>,
  dataset: TrainingDataset,
  rows: readonly number[],
): (number | boolean | string)[] {
  const { columns, texts } = dataset;
  const cells = cellsOfRows(dataset, rows);
  return rows.flatMap((_, row) =>
    Array.from(cells.subarray(row * columns + start, row * columns + start + width), (cell) =>
      dtype === 'string'
        ? (texts?.[cell] ?? '')
        : dtype === 'bool'
          ? cell !== 0
          : Number(cell.toPrecision(9)),
    ),
  );
}
