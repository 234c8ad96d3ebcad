import * as ort from 'onnxruntime-node';
import type { BoundInput } from './bind-inputs.ts';
import type { TrainingDataset } from './training-dataset.ts';

/** The tensors of some rows, one for each input. */
export function rowTensors(
  inputs: readonly BoundInput[],
  dataset: TrainingDataset,
  rows: ArrayLike<number>,
): Record<string, ort.Tensor> {
  return Object.fromEntries(inputs.map((input) => [input.name, rowTensor(input, dataset, rows)]));
}

function rowTensor(
  { dtype, start, width, rowShape }: BoundInput,
  { columns, features, texts }: TrainingDataset,
  rows: ArrayLike<number>,
): ort.Tensor {
  const cells = new Float32Array(rows.length * width);
  for (let i = 0; i < rows.length; i++) {
    const from = rows[i]! * columns + start;
    cells.set(features.subarray(from, from + width), i * width);
  }
  const shape = [rows.length, ...rowShape];
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
