import * as ort from 'onnxruntime-node';
import type { BoundInput } from './bind-inputs.ts';
import { cellsOfRows } from './feature-cells.ts';
import type { TrainingDataset } from './training-dataset.ts';

/** The tensors of some rows, one for each input. */
export function rowTensors(
  inputs: readonly BoundInput[],
  dataset: TrainingDataset,
  rows: ArrayLike<number>,
): Record<string, ort.Tensor> {
  const { columns, texts } = dataset;
  const cells = cellsOfRows(dataset, rows);
  return Object.fromEntries(
    inputs.map((input) => [
      input.name,
      rowTensor(input, cellsOfInput(input, cells, columns), rows.length, texts),
    ]),
  );
}

/** [rows, width] of one input, out of [rows, columns]. */
function cellsOfInput({ start, width }: BoundInput, rows: Float32Array, columns: number): Float32Array {
  if (width === columns) return rows;
  const cells = new Float32Array((rows.length / columns) * width);
  for (let from = start, to = 0; from < rows.length; from += columns, to += width)
    cells.set(rows.subarray(from, from + width), to);
  return cells;
}

function rowTensor(
  { dtype, rowShape }: BoundInput,
  cells: Float32Array,
  rows: number,
  texts: readonly string[] | undefined,
): ort.Tensor {
  const shape = [rows, ...rowShape];
  switch (dtype) {
    case 'float32':
      return new ort.Tensor('float32', cells, shape);
    case 'float64':
      return new ort.Tensor('float64', Float64Array.from(cells), shape);
    case 'int32':
      return new ort.Tensor('int32', Int32Array.from(cells), shape);
    case 'int64':
      return new ort.Tensor('int64', BigInt64Array.from(cells, BigInt), shape);
    case 'bool':
      return new ort.Tensor('bool', Uint8Array.from(cells), shape);
    case 'string':
      return new ort.Tensor(
        'string',
        Array.from(cells, (place) => texts?.[place] ?? ''),
        shape,
      );
  }
}
