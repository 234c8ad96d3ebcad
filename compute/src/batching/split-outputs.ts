import type { ReceivedTensor } from '../runner/frames.ts';

/**
 * Gives each request of a batch its rows of each output, without copying; a single request gets the outputs
 * unchanged. Undefined when the first dimension of an output is not the rows of the batch, or when an output is text,
 * whose elements have no fixed size.
 */
export function splitOutputs(
  outputs: readonly ReceivedTensor[],
  works: readonly { readonly rows: number }[],
): ReceivedTensor[][] | undefined {
  if (works.length === 1) return [[...outputs]];
  let total = 0;
  for (const work of works) total += work.rows;
  const split: ReceivedTensor[][] = works.map(() => []);
  for (const output of outputs) {
    if (output.shape[0] !== total || output.datatype === 'BYTES') return undefined;
    const rowBytes = output.contents.length / total;
    const rest = output.shape.slice(1);
    let at = 0;
    for (const [index, work] of works.entries()) {
      const end = at + work.rows * rowBytes;
      split[index]?.push({
        index: output.index,
        datatype: output.datatype,
        shape: [work.rows, ...rest],
        contents: output.contents.subarray(at, end),
      });
      at = end;
    }
  }
  return split;
}
