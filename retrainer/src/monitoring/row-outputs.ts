import { outputNumbers } from '@hotloop/model/decision/output-numbers.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { largestClass } from '@hotloop/model/statistics/class-performance.ts';
import type { Tensor } from '@hotloop/model/tensor.ts';

/** The outputs of a logged row. */
export interface LoggedOutputs {
  readonly outputs: Buffer | null;
  readonly output_spec: readonly { name: string; datatype: Tensor['datatype']; shape: number[] }[];
  readonly rows: number;
}

/** The values of the model's score output for each row; empty if they were not logged or are not numbers. */
export function rowOutputs(
  { outputs, output_spec, rows }: LoggedOutputs,
  manifest: Manifest,
): ArrayLike<number>[] {
  if (outputs === null || manifest.task === 'tensor' || rows === 0) return [];
  let offset = 0;
  for (const [index, { name, datatype, shape }] of output_spec.entries()) {
    const size = bytesOf(datatype) * shape.reduce((product, one) => product * one, 1);
    const isScore = manifest.output === undefined ? index === 0 : name === manifest.output;
    if (!isScore) {
      offset += size;
      continue;
    }
    try {
      const contents = new Uint8Array(outputs.subarray(offset, offset + size));
      const values = outputNumbers({ name, datatype, shape, contents });
      const width = values.length / rows;
      return Array.from({ length: rows }, (_v, row) => values.subarray(row * width, (row + 1) * width));
    } catch {
      return [];
    }
  }
  return [];
}

/** One number per row: the score, the second of two, or the index of the largest of several classes. */
export function scoresOf(logged: LoggedOutputs, manifest: Manifest): number[] {
  return rowOutputs(logged, manifest).map((own) =>
    own.length > 2 || manifest.task === 'multiclass' ? largestClass(own) : own[own.length - 1]!,
  );
}

function bytesOf(datatype: Tensor['datatype']): number {
  const bits = /(\d+)$/.exec(datatype);
  return bits ? Number(bits[1]) / 8 : 1;
}
