import type { InferParameter__Output } from '@hotloop/proto/gen/inference/InferParameter.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import { type InferRequestMessage, NO_PARAMETERS } from './decode-infer-request.ts';
import type { OipRequest, OipTensor } from './oip-request.ts';
import { checkDatatype, checkShape, invalid } from './tensor-checks.ts';
import { hasTypedContents, rawContents } from './typed-contents.ts';
import { type Parameters, type Place, refuseUnserved } from './unserved-parameters.ts';

const MAX_TIMEOUT_MS = 600_000;

/**
 * Reads a gRPC request. Throws INVALID_ARGUMENT naming the tensor or parameter, UNIMPLEMENTED
 * `unsupported_parameter`.
 */
export function readGrpcRequest(message: InferRequestMessage, remainingMs: number): OipRequest {
  checkParameters(message);
  checkRawContents(message);
  const raw = message.rawInputContents;
  const inputs = message.inputs.map((input, index): OipTensor => {
    const { name, contents } = input;
    const datatype = checkDatatype(input.datatype, name);
    const shape = input.shape.map(Number);
    checkShape(shape, name);
    const bytes = raw[index];
    if (bytes !== undefined) return { name, datatype, shape, contents: bytes };
    if (!contents || !hasTypedContents(contents))
      throw invalid(`input ${quoted(name)} has no data in the request`);
    return { name, datatype, shape, contents: rawContents(name, datatype, contents) };
  });
  return {
    model: message.modelName,
    version: message.modelVersion,
    id: message.id,
    inputs,
    outputs: message.outputs.map((output) => output.name),
    priority: integerParameter(message.parameters, 'priority') ?? 0,
    timeoutMs: timeoutOf(integerParameter(message.parameters, 'timeout'), remainingMs),
  };
}

/**
 * Throws INVALID_ARGUMENT unless there are no raw contents, or exactly those of all inputs. An input with both typed
 * and raw contents is checked first, because clients look for that error text, and such a request has too few raw
 * contents as well.
 */
function checkRawContents({ modelName, inputs, rawInputContents }: InferRequestMessage): void {
  if (rawInputContents.length === 0) return;
  const both = inputs.find((input) => hasTypedContents(input.contents));
  if (both)
    throw invalid(
      `contents field must not be specified when using raw_input_contents for ${quoted(both.name)} for model ${quoted(modelName)}`,
    );
  if (rawInputContents.length === inputs.length) return;
  const numbers = `there are ${inputs.length} inputs, but ${rawInputContents.length} raw_input_contents`;
  const without = inputs[rawInputContents.length];
  throw invalid(without ? `${numbers}: input ${quoted(without.name)} has no data in the request` : numbers);
}

/** The protocol's timeout is in microseconds; the result never exceeds the deadline of the call. */
export function timeoutOf(microseconds: number | undefined, remainingMs: number): number {
  const asked = microseconds === undefined || microseconds <= 0 ? MAX_TIMEOUT_MS : microseconds / 1000;
  return Math.min(asked, remainingMs, MAX_TIMEOUT_MS);
}

function integerParameter(
  parameters: Readonly<Record<string, InferParameter__Output>>,
  name: string,
): number | undefined {
  const parameter = parameters[name];
  if (!parameter) return undefined;
  const text = parameter.int64Param ?? parameter.uint64Param;
  if (text === undefined || text === null) throw invalid(`parameter ${quoted(name)} must be an integer`);
  return Number(text);
}

function checkParameters({ parameters, inputs, outputs }: InferRequestMessage): void {
  const check = (place: Place, name: string, given: InferRequestMessage['parameters']) => {
    if (given !== NO_PARAMETERS) refuseUnserved(place, name, plain(given));
  };
  check('request', '', parameters);
  for (const input of inputs) check('input', input.name, input.parameters);
  for (const output of outputs) check('output', output.name, output.parameters);
}

function plain(parameters: InferRequestMessage['parameters']): Parameters {
  const values: Record<string, Parameters[string]> = {};
  for (const [name, parameter] of Object.entries(parameters)) {
    const { boolParam, stringParam, doubleParam, int64Param, uint64Param } = parameter;
    values[name] = boolParam ?? stringParam ?? doubleParam ?? Number(int64Param ?? uint64Param ?? 0);
  }
  return values;
}
