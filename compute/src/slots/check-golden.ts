import type { GoldenExample, NestedValues } from '@hotloop/model/manifest/golden-schema.ts';
import { flattenValues } from '@hotloop/model/manifest/nested-values.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import type { WorkInput } from '../batching/work-input.ts';
import { matchInputs, matchOutputs } from '../oip/tensor-checks.ts';
import type { FrameTensor, ReceivedTensor } from '../runner/frames.ts';
import type { LoadedModel, TensorDescription } from '../runner/load-options.ts';
import { RunnerFailure, RunnerGone } from '../runner/runner.ts';
import type { BoundedRunner } from './bounded-runs.ts';
import { differences, type GoldenTerms, hasFraction, toleranceOf } from './compare-golden.ts';
import { decodeValues, encodeValues, type Value } from './golden-values.ts';

/**
 * Runs a loaded version on its golden examples, one by one, and compares its outputs with those in model.yaml. These
 * runs are not predictions: they are neither counted nor logged. Rejects FAILED_PRECONDITION `golden_mismatch` naming
 * the first value that differs, INVALID_ARGUMENT for an example that does not fit the model, UNAVAILABLE when the
 * runner ended.
 */
export async function checkGolden(runner: BoundedRunner, terms: GoldenTerms): Promise<void> {
  for (const [number, example] of (terms.golden?.examples ?? []).entries()) {
    const where = `golden.examples.${number}`;
    const results = await run(runner, example, where);
    for (const [name, values] of Object.entries(example.outputs)) {
      const [index = 0] = matchOutputs(runner.model, [name], where);
      const problem = outputProblem(terms, values, results[index], runner.model.outputs[index]);
      if (problem !== undefined) throw mismatch(`${where}: output ${quoted(name)} ${problem}`);
    }
  }
}

async function run(
  runner: BoundedRunner,
  { inputs }: GoldenExample,
  where: string,
): Promise<readonly ReceivedTensor[]> {
  const tensors = inputsOf(runner.model, inputs, where).map(
    ({ datatype, shape, contents, index }, position): FrameTensor => ({
      index: index ?? position,
      datatype,
      shape,
      pieces: [contents],
    }),
  );
  try {
    return (await runner.run(tensors)).tensors;
  } catch (error) {
    if (error instanceof RunnerFailure) throw mismatch(`${where}: the model cannot run it`, error);
    if (error instanceof RunnerGone)
      throw new HotloopError('UNAVAILABLE', `${where}: the runner ended or took too long`, {
        reason: 'runner_lost',
        cause: error,
      });
    throw error;
  }
}

/**
 * The inputs of every golden example, in the order of the model's inputs. Throws INVALID_ARGUMENT for one that does
 * not fit.
 */
export function goldenInputs(model: LoadedModel, { golden }: GoldenTerms): WorkInput[][] {
  return (golden?.examples ?? []).map(({ inputs }, number) =>
    inputsOf(model, inputs, `golden.examples.${number}`),
  );
}

function inputsOf(model: LoadedModel, inputs: GoldenExample['inputs'], where: string): WorkInput[] {
  const given = Object.entries(inputs).map(([name, values]) => {
    const { shape, elements } = flattenValues(values);
    const datatype =
      [...model.inputs, ...(model.optional ?? [])].find((input) => input.name === name)?.datatype ?? 'FP32';
    return { name, datatype, shape, contents: encodeValues(name, datatype, elements) };
  });
  return matchInputs(model, given, where);
}

/** What is wrong with one output; undefined when it is as expected. */
function outputProblem(
  terms: GoldenTerms,
  values: NestedValues,
  result: ReceivedTensor | undefined,
  description: TensorDescription | undefined,
): string | undefined {
  if (!result || !description) return 'is missing';
  const { shape, elements } = flattenValues(values);
  if (shape.length !== result.shape.length || shape.some((size, axis) => size !== result.shape[axis]))
    return `has shape [${result.shape}], expected [${shape}]`;
  const { datatype } = result;
  const got = decodeValues(datatype, result.contents);
  // Converted to the datatype: text has no rounding, and with a tolerance of 0 the bits must be equal.
  const expected = decodeValues(datatype, encodeValues(description.name, datatype, elements));
  if (!hasFraction(datatype)) return differenceText(got, expected, differences(got, expected), shape, '');
  const { relative, absolute } = toleranceOf(terms, datatype, expected.map(Number));
  const within = ` within absolute ${shortNumber(absolute)} + relative ${shortNumber(relative)}`;
  const different = differences(got, expected, { relative, absolute });
  return differenceText(got, elements, different, shape, within);
}

function differenceText(
  got: readonly Value[],
  expected: readonly Value[],
  different: readonly number[],
  shape: readonly number[],
  within: string,
): string | undefined {
  const [first] = different;
  if (first === undefined) return undefined;
  const width = expected.length / (shape[0] ?? 1);
  const row = Math.floor(first / width);
  const place =
    shape.length === 0 ? '' : width > 1 ? ` in row ${row}, value ${first % width}` : ` in row ${row}`;
  const others = `(${different.length} of ${expected.length} values differ)`;
  return `gave ${shown(got[first])}${place}, expected ${shown(expected[first])}${within} ${others}`;
}

function shown(value: Value | undefined): string {
  if (typeof value === 'number') return shortNumber(value);
  if (typeof value === 'string') return quoted(value);
  return String(value);
}

function shortNumber(value: number): string {
  return String(Number(value.toPrecision(9)));
}

function mismatch(message: string, cause?: unknown): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', message, { reason: 'golden_mismatch', cause });
}
