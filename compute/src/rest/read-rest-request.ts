import { z } from '@hotloop/platform/config.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import type { OipRequest, OipTensor } from '../oip/oip-request.ts';
import { timeoutOf } from '../oip/read-grpc-request.ts';
import { checkDatatype, checkShape, invalid } from '../oip/tensor-checks.ts';
import { refuseUnserved } from '../oip/unserved-parameters.ts';
import { readJsonData } from './read-json-data.ts';
import { isBeyondJson, notInJson, parseLossless } from './rest-tensors.ts';

const parametersSchema = z
  .record(z.string(), z.union([z.string(), z.number(), z.bigint(), z.boolean()]))
  .default({});

const requestSchema = z.object({
  id: z.string().default(''),
  parameters: parametersSchema,
  inputs: z.array(
    z.object({
      name: z.string(),
      shape: z.array(z.number()),
      datatype: z.string(),
      parameters: parametersSchema,
      data: z.unknown().optional(),
    }),
  ),
  outputs: z.array(z.object({ name: z.string(), parameters: parametersSchema })).default([]),
});

type RequestBody = z.output<typeof requestSchema>;

export interface RestRequest {
  readonly request: OipRequest;
  /** Whether an output is to be returned as bytes after the JSON. */
  isBinary(output: string): boolean;
}

export interface Target {
  readonly model: string;
  readonly version: string;
}

/**
 * Reads a REST inference body: JSON, followed by the bytes of the inputs that have `binary_data_size`. `headerBytes`
 * is the length of the JSON; undefined when the whole body is JSON. Throws INVALID_ARGUMENT naming the field or
 * tensor, UNIMPLEMENTED `unsupported_parameter`.
 */
export function readRestRequest(
  target: Target,
  body: Buffer,
  headerBytes: number | undefined,
  maxTimeoutMs: number,
): RestRequest {
  if (headerBytes !== undefined && (headerBytes < 0 || headerBytes > body.length))
    throw invalid(`inference header size should be in range (0, ${body.length}), got: ${headerBytes}`);
  const parsed = parseBody(body.toString('utf8', 0, headerBytes ?? body.length));
  refuseUnserved('request', '', parsed.parameters);
  for (const output of parsed.outputs) refuseUnserved('output', output.name, output.parameters);
  const binary = new BinaryReader(body.subarray(headerBytes ?? body.length));
  const inputs = parsed.inputs.map((input) => readInput(input, binary));
  if (binary.rest > 0) throw invalid(`unexpected additional input data: ${binary.rest} bytes are left over`);
  const all = flag(parsed.parameters, 'binary_data_output', '') ?? false;
  const chosen = new Map(
    parsed.outputs.map(({ name, parameters }) => [name, flag(parameters, 'binary_data', name)]),
  );
  const isBinary = (output: string) => chosen.get(output) ?? all;
  const request: OipRequest = {
    ...target,
    id: parsed.id,
    inputs,
    outputs: parsed.outputs.map((output) => output.name),
    priority: integer(parsed, 'priority') ?? 0,
    timeoutMs: timeoutOf(integer(parsed, 'timeout'), maxTimeoutMs),
    checkOutputs(outputs) {
      const beyond = outputs.find(({ name, datatype }) => isBeyondJson(datatype) && !isBinary(name));
      if (beyond) throw notInJson(beyond);
    },
  };
  return { request, isBinary };
}

function parseBody(text: string): RequestBody {
  let json: unknown;
  try {
    json = parseLossless(text);
  } catch (error) {
    throw invalid(`the request is ${error instanceof RangeError ? 'nested too deeply' : 'not JSON'}`);
  }
  const result = requestSchema.safeParse(json);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${placeOf(issue.path, json)}: ${issue.message}`);
  throw invalid(`the request does not fit the protocol: ${issues.slice(0, 5).join('; ')}`);
}

/**
 * The place of a schema error in the body: `FIELD of input 'NAME'` where the input or output has a name, else the
 * path.
 */
function placeOf(path: readonly PropertyKey[], json: unknown): string {
  const [list, index, ...field] = path;
  if (field.length > 0 && (list === 'inputs' || list === 'outputs')) {
    // A path this long goes through a list of objects.
    const { name } = (json as Record<typeof list, { name?: unknown }[]>)[list][Number(index)] ?? {};
    const kind = list === 'inputs' ? 'input' : 'output';
    if (typeof name === 'string') return `${field.map(String).join('.')} of ${kind} ${quoted(name)}`;
  }
  return path.map(String).join('.') || 'request';
}

function readInput(input: RequestBody['inputs'][number], binary: BinaryReader): OipTensor {
  const { name, shape } = input;
  refuseUnserved('input', name, input.parameters);
  const datatype = checkDatatype(input.datatype, name);
  checkShape(shape, name);
  const size = input.parameters.binary_data_size;
  if (size === undefined) {
    if (input.data === undefined) throw invalid(`input ${quoted(name)} has no data in the request`);
    return { name, datatype, shape, contents: readJsonData({ name, datatype, shape, data: input.data }) };
  }
  if (input.data !== undefined) throw invalid(`input ${quoted(name)} has both data and binary_data_size`);
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 0)
    throw invalid(`binary_data_size of input ${quoted(name)} must be a whole number of bytes`);
  return { name, datatype, shape, contents: binary.take(size, name) };
}

class BinaryReader {
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get rest(): number {
    return this.#bytes.length;
  }

  take(size: number, name: string): Buffer {
    if (size > this.#bytes.length)
      throw invalid(
        `unexpected size for input ${quoted(name)}, expecting ${size - this.#bytes.length} additional bytes`,
      );
    const taken = this.#bytes.subarray(0, size);
    this.#bytes = this.#bytes.subarray(size);
    return taken;
  }
}

function integer(body: RequestBody, name: string): number | undefined {
  const value = body.parameters[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw invalid(`parameter ${quoted(name)} must be an integer`);
  return value;
}

/** A boolean parameter. `output` is the name of the output that has it, empty for the request. */
function flag(parameters: RequestBody['parameters'], name: string, output: string): boolean | undefined {
  const value = parameters[name];
  if (value === undefined || typeof value === 'boolean') return value;
  const place = output === '' ? '' : ` of output ${quoted(output)}`;
  throw invalid(`parameter ${quoted(name)}${place} must be true or false`);
}
