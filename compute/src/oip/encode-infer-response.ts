import type { OipAnswer, OipTensor } from './oip-request.ts';

const TEXT = 2;
const RESPONSE = {
  modelName: 1,
  modelVersion: 2,
  id: 3,
  parameters: 4,
  outputs: 5,
  rawOutputContents: 6,
} as const;
const STREAM_RESPONSE = { errorMessage: 1, inferResponse: 2 } as const;
const OUTPUT = { name: 1, datatype: 2, shape: 3 } as const;

/** The `prediction_id` entry of the parameters up to its value: the id under which the log keeps the answer. */
const ID_KEY = Buffer.from('\x0a\x0dprediction_id');
const ID_VALUE_TAG = 0x12;
const STRING_PARAM_TAG = 0x1a;
/** `triton_final_response: true`, which some clients wait for at the end of each answer of a stream. */
const FINAL = Buffer.from('\x22\x1b\x0a\x15triton_final_response\x12\x02\x08\x01');

/**
 * Encodes a ModelInferResponse, or the ModelStreamInferResponse around it, straight into bytes. The generic encoder
 * first creates a message object for every part, which costs more than everything else in answering a small model.
 */
export function encodeInferResponse(answer: OipAnswer, kind: 'unary' | 'stream'): Buffer {
  const { model, id, predictionId, outputs } = answer;
  const version = String(answer.version);
  const outputSizes = outputs.map(sizeOfOutput);
  const idSize = 2 + predictionId.length;
  const parameterSize = ID_KEY.length + 2 + idSize;
  let size = sizeOfText(model) + sizeOfText(version) + sizeOfText(id) + 2 + parameterSize;
  for (const [index, output] of outputs.entries())
    size += sizeOfField(outputSizes[index] ?? 0) + sizeOfField(output.contents.length);
  if (kind === 'stream') size += FINAL.length;

  const bytes = Buffer.allocUnsafe(kind === 'stream' ? sizeOfField(size) : size);
  let at = 0;
  if (kind === 'stream') at = writeHead(bytes, at, STREAM_RESPONSE.inferResponse, size);
  at = writeText(bytes, at, RESPONSE.modelName, model);
  at = writeText(bytes, at, RESPONSE.modelVersion, version);
  at = writeText(bytes, at, RESPONSE.id, id);
  at = writeHead(bytes, at, RESPONSE.parameters, parameterSize);
  bytes.set(ID_KEY, at);
  at += ID_KEY.length;
  bytes[at++] = ID_VALUE_TAG;
  bytes[at++] = idSize;
  bytes[at++] = STRING_PARAM_TAG;
  bytes[at++] = predictionId.length;
  at += bytes.write(predictionId, at, 'latin1');
  if (kind === 'stream') {
    bytes.set(FINAL, at);
    at += FINAL.length;
  }
  for (const [index, output] of outputs.entries()) {
    at = writeHead(bytes, at, RESPONSE.outputs, outputSizes[index] ?? 0);
    at = writeOutput(bytes, at, output);
  }
  for (const { contents } of outputs) {
    at = writeHead(bytes, at, RESPONSE.rawOutputContents, contents.length);
    bytes.set(contents, at);
    at += contents.length;
  }
  return bytes;
}

/** The answer of a stream to a failed request: the error message, with the request's id, model and version. */
export function encodeStreamFailure(failure: {
  readonly message: string;
  readonly id: string;
  readonly model: string;
  readonly version: string;
}): Buffer {
  const { message, id, model, version } = failure;
  const size = sizeOfText(model) + sizeOfText(version) + sizeOfText(id);
  const bytes = Buffer.allocUnsafe(sizeOfText(message) + sizeOfField(size));
  let at = writeText(bytes, 0, STREAM_RESPONSE.errorMessage, message);
  at = writeHead(bytes, at, STREAM_RESPONSE.inferResponse, size);
  at = writeText(bytes, at, RESPONSE.modelName, model);
  at = writeText(bytes, at, RESPONSE.modelVersion, version);
  writeText(bytes, at, RESPONSE.id, id);
  return bytes;
}

function sizeOfOutput({ name, datatype, shape }: OipTensor): number {
  return sizeOfText(name) + sizeOfText(datatype) + (shape.length === 0 ? 0 : sizeOfField(sizeOfShape(shape)));
}

function writeOutput(bytes: Buffer, start: number, { name, datatype, shape }: OipTensor): number {
  let at = writeText(bytes, start, OUTPUT.name, name);
  at = writeText(bytes, at, OUTPUT.datatype, datatype);
  if (shape.length === 0) return at;
  at = writeHead(bytes, at, OUTPUT.shape, sizeOfShape(shape));
  for (const dimension of shape) at = writeVarint(bytes, at, dimension);
  return at;
}

function sizeOfShape(shape: readonly number[]): number {
  let size = 0;
  for (const dimension of shape) size += sizeOfVarint(dimension);
  return size;
}

/** Proto3 does not write empty strings. */
function sizeOfText(text: string): number {
  return text === '' ? 0 : sizeOfField(Buffer.byteLength(text));
}

function writeText(bytes: Buffer, at: number, field: number, text: string): number {
  if (text === '') return at;
  const length = Buffer.byteLength(text);
  const start = writeHead(bytes, at, field, length);
  return start + bytes.write(text, start, length, 'utf8');
}

/** Size of a length-delimited field with a field number up to 15 and content of `length` bytes. */
function sizeOfField(length: number): number {
  return 1 + sizeOfVarint(length) + length;
}

function writeHead(bytes: Buffer, at: number, field: number, length: number): number {
  bytes[at] = (field << 3) | TEXT;
  return writeVarint(bytes, at + 1, length);
}

function sizeOfVarint(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 0x80;
  bytes[at++] = rest;
  return at;
}
