import { outputNumbers } from '@hotloop/model/decision/output-numbers.ts';
import type { Tensor } from '@hotloop/model/tensor.ts';

/** The outputs of a row of the prediction log. */
export interface LoggedOutputs {
  readonly outputs: Buffer;
  readonly output_spec: readonly Pick<Tensor, 'name' | 'datatype' | 'shape'>[];
}

/**
 * The numbers of one output, by name, or of the first one; null for text, or if the bytes do not match the shape. The contents
 * of all outputs are concatenated, so earlier ones are skipped.
 */
export function loggedNumbers(row: LoggedOutputs, name: string | undefined): Float64Array | null {
  let offset = 0;
  for (const spec of row.output_spec) {
    const bytes = bytesOf(spec);
    if (bytes === null) return null;
    if (name === undefined || spec.name === name) {
      const contents = row.outputs.subarray(offset, offset + bytes);
      try {
        return outputNumbers({ ...spec, contents });
      } catch {
        return null;
      }
    }
    offset += bytes;
  }
  return null;
}

/** The last number of the first row: with two classes, the probability of the positive one. */
export function firstNumber(row: LoggedOutputs): number | null {
  const numbers = loggedNumbers(row, undefined);
  const columns = row.output_spec[0]?.shape.slice(1).reduce((product, size) => product * size, 1) ?? 1;
  return numbers?.[columns - 1] ?? null;
}

const WIDTHS: Partial<Record<Tensor['datatype'], number>> = {
  ...{ BOOL: 1, UINT8: 1, INT8: 1, UINT16: 2, INT16: 2, FP16: 2, BF16: 2 },
  ...{ UINT32: 4, INT32: 4, FP32: 4, UINT64: 8, INT64: 8, FP64: 8 },
};

function bytesOf({ datatype, shape }: Pick<Tensor, 'datatype' | 'shape'>): number | null {
  const width = WIDTHS[datatype];
  return width === undefined ? null : width * shape.reduce((product, size) => product * size, 1);
}
