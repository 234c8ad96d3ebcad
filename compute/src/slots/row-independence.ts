import type { FrameTensor, ReceivedTensor } from '../runner/frames.ts';
import { hasFraction, isWithin, type Tolerance } from './compare-golden.ts';
import { decodeValues } from './golden-values.ts';
import { type ProbeRows, splitRows } from './probe-rows.ts';

export interface RowProbe {
  /** Resolves undefined when the model rejects the inputs; rejects when the runner has ended. */
  run(tensors: readonly FrameTensor[]): Promise<readonly ReceivedTensor[] | undefined>;
  /** Allowed difference between an output of a common run and the same output of a run alone. */
  toleranceOf(output: ReceivedTensor['datatype'], values: readonly number[]): Tolerance;
  /** True when there is no time for more runs. */
  isLate(): boolean;
}

/** Whether rows of one run are independent of each other, as far as a probe can tell. */
export type RowVerdict = 'independent' | 'dependent' | 'unknown';

/**
 * Finds out whether rows of one run are independent: different rows must give the same outputs in a common run as one
 * by one, in every output and datatype. Rows that all give equal outputs prove nothing, and neither do rows that the
 * model rejects. The sets should be in descending order of their likelihood to decide.
 */
export async function judgeRows(probe: RowProbe, sets: readonly ProbeRows[]): Promise<RowVerdict> {
  let isTold = false;
  for (const rows of sets) {
    if (isTold && probe.isLate()) break;
    const verdict = await judge(probe, rows);
    if (verdict === 'dependent') return verdict;
    isTold ||= verdict === 'independent';
  }
  return isTold ? 'independent' : 'unknown';
}

async function judge(probe: RowProbe, { inputs, rows }: ProbeRows): Promise<RowVerdict> {
  const frame = (some: readonly (readonly Uint8Array[])[]): FrameTensor[] =>
    inputs.map(({ datatype, rowShape }, index) => ({
      index,
      datatype,
      shape: [some.length, ...rowShape],
      pieces: some.map((row) => row[index] ?? new Uint8Array()),
    }));
  const together = await probe.run(frame(rows));
  if (together?.some((output) => output.shape[0] !== rows.length)) return 'dependent';
  const shared = together?.map((output) => splitRows(output.datatype, output.contents, rows.length));
  let isTold = false;
  let first: readonly ReceivedTensor[] | undefined;
  for (const [row, values] of rows.entries()) {
    const alone = await probe.run(frame([values]));
    if ((alone === undefined) !== (shared === undefined)) return 'dependent';
    for (const [index, output] of (alone ?? []).entries()) {
      const other = shared?.[index]?.[row];
      if (output.shape[0] !== 1 || !other || !agree(probe, output, other)) return 'dependent';
      const before = first?.[index];
      isTold ||= before !== undefined && !agree(probe, output, before.contents);
    }
    first ??= alone;
  }
  return isTold ? 'independent' : 'unknown';
}

function agree(probe: RowProbe, { datatype, contents }: ReceivedTensor, other: Uint8Array): boolean {
  if (Buffer.compare(contents, other) === 0) return true;
  if (contents.length !== other.length || !hasFraction(datatype)) return false;
  const alone = decodeValues(datatype, contents).map(Number);
  const together = decodeValues(datatype, other).map(Number);
  const tolerance = probe.toleranceOf(datatype, alone.filter(Number.isFinite));
  return alone.every((value, index) => {
    const shared = together[index] ?? Number.NaN;
    return Object.is(value, shared) || isWithin(shared, value, tolerance);
  });
}
