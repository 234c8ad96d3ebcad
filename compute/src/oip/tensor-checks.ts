import { isUtf8 } from 'node:buffer';
import { MOST_DEFAULT_ELEMENTS, MOST_DEFAULTS } from '@hotloop/model/onnx/open-defaults.ts';
import { DATATYPES, type Datatype } from '@hotloop/model/tensor.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { quoted } from '@hotloop/proto/quoted.ts';
import type { LoadedModel, TensorDescription } from '../runner/load-options.ts';
import { ELEMENT_BYTES, elementCount } from '../runner/tensor-layout.ts';
import type { OipTensor } from './oip-request.ts';

const MAX_RANK = 32;
const MAX_DIMENSION = 2 ** 31 - 1;
const KNOWN: ReadonlySet<string> = new Set(DATATYPES);

export function invalid(message: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'invalid_tensor' });
}

/** Throws INVALID_ARGUMENT for a datatype that the protocol does not define. */
export function checkDatatype(text: string, input: string): Datatype {
  if (!KNOWN.has(text)) throw invalid(`input ${quoted(input)} has the unknown datatype ${quoted(text)}`);
  return text as Datatype;
}

/** Throws INVALID_ARGUMENT unless every dimension is a whole number and the first is at least 1. */
export function checkShape(shape: readonly number[], input: string): void {
  if (shape.length > MAX_RANK)
    throw invalid(`input ${quoted(input)} has ${shape.length} dimensions; ${MAX_RANK} is the most`);
  for (const dimension of shape) {
    if (!Number.isInteger(dimension) || dimension < 0 || dimension > MAX_DIMENSION)
      throw invalid(`input ${quoted(input)} has the dimension ${dimension} in its shape [${shape}]`);
  }
  // A request needs rows. Other dimensions may be 0, such as an empty cache at the start of a text generation.
  if (shape[0] === 0) throw invalid(`input ${quoted(input)} has no rows: its shape is [${shape}]`);
}

/** Throws INVALID_ARGUMENT unless the bytes are exactly those of the shape and type. */
export function checkContents(tensor: OipTensor): void {
  const { name, datatype, shape, contents } = tensor;
  const count = elementCount(shape);
  if (datatype === 'BYTES') {
    checkTexts(tensor, count);
    return;
  }
  const expected = count * ELEMENT_BYTES[datatype];
  if (contents.length !== expected)
    throw invalid(
      `input ${quoted(name)} has ${contents.length} bytes; ${datatype} of shape [${shape}] has ${expected}`,
    );
  if (datatype === 'BOOL' && contents.some((byte) => byte > 1))
    throw invalid(`input ${quoted(name)} of type BOOL holds a byte that is neither 0 nor 1`);
}

function checkTexts({ name, shape, contents }: OipTensor, count: number): void {
  const bytes = Buffer.from(contents.buffer, contents.byteOffset, contents.byteLength);
  let elements = 0;
  let at = 0;
  while (at < bytes.length) {
    const end = at + 4 <= bytes.length ? at + 4 + bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY;
    if (end > bytes.length)
      throw invalid(`input ${quoted(name)} of type BYTES ends inside element ${elements}`);
    if (!isUtf8(bytes.subarray(at + 4, end)))
      throw invalid(
        `input ${quoted(name)}: element ${elements} is not UTF-8, which the model's text type needs`,
      );
    if (bytes.subarray(at + 4, end).includes(0))
      throw invalid(
        `input ${quoted(name)}: element ${elements} holds the character U+0000, where the runtime would cut the text off`,
      );
    elements++;
    at = end;
  }
  if (elements !== count)
    throw invalid(`input ${quoted(name)} has ${elements} elements; its shape [${shape}] has ${count}`);
}

/**
 * The request's tensors in the order of the model's inputs, then those that override a default. Throws
 * INVALID_ARGUMENT naming the tensor and what was expected: a missing, unknown or repeated name, another datatype,
 * rank or dimension, or two sizes for one named dimension.
 */
export function matchInputs(model: LoadedModel, tensors: readonly OipTensor[], what: string): OipTensor[] {
  const given = new Map<string, OipTensor>();
  for (const tensor of tensors) {
    if (given.has(tensor.name)) throw invalid(`input ${quoted(tensor.name)} is given twice`);
    given.set(tensor.name, tensor);
  }
  const matched = model.inputs.map((description) => {
    const tensor = given.get(description.name);
    if (!tensor) throw invalid(`${what} needs the input ${quoted(description.name)}, which is missing`);
    given.delete(description.name);
    matchOne(description, tensor);
    return tensor;
  });
  const { optional = [] } = model;
  for (const [place, description] of optional.entries()) {
    const tensor = given.get(description.name);
    if (!tensor) continue;
    given.delete(description.name);
    matchOne(description, tensor);
    matched.push({ ...tensor, index: model.inputs.length + place });
  }
  const [unknown] = given.keys();
  if (unknown !== undefined) throw unknownInput(model, unknown, what);
  checkNamedDimensions(model.inputs, matched);
  return matched;
}

function unknownInput({ inputs, optional = [], fixed = [] }: LoadedModel, name: string, what: string): Error {
  if (fixed.includes(name))
    return new HotloopError(
      'INVALID_ARGUMENT',
      `input ${quoted(name)} of ${what} has a default that requests cannot replace: that works for at most ${MOST_DEFAULTS} inputs of at most ${MOST_DEFAULT_ELEMENTS} elements each, in files of IR version 4 or later; leave it out`,
      { reason: 'fixed_default' },
    );
  const names = [...inputs, ...optional].map((input) => quoted(input.name)).join(', ');
  return invalid(`${what} has no input ${quoted(name)}; it has ${names}`);
}

/** Dimensions with the same name must have the same size; unnamed dimensions may differ. */
function checkNamedDimensions(
  descriptions: readonly TensorDescription[],
  tensors: readonly OipTensor[],
): void {
  for (let index = 0; index < descriptions.length; index++) {
    const names = descriptions[index]?.dimensionNames ?? [];
    for (let axis = 0; axis < names.length; axis++) {
      const name = names[axis];
      if (name) checkNamedDimension(descriptions, tensors, name, index, axis);
    }
  }
}

/** Throws INVALID_ARGUMENT unless the dimension has the same size as the first dimension of that name. */
function checkNamedDimension(
  descriptions: readonly TensorDescription[],
  tensors: readonly OipTensor[],
  name: string,
  index: number,
  axis: number,
): void {
  const first = descriptions.findIndex(({ dimensionNames }) => dimensionNames.includes(name));
  const firstAxis = descriptions[first]?.dimensionNames.indexOf(name) ?? -1;
  const known = tensors[first];
  const tensor = tensors[index];
  if (!known || !tensor || known.shape[firstAxis] === tensor.shape[axis]) return;
  throw invalid(
    `dimension ${quoted(name)} is ${known.shape[firstAxis]} in input ${quoted(known.name)}, but ${tensor.shape[axis]} in input ${quoted(tensor.name)}`,
  );
}

function matchOne(description: TensorDescription, tensor: OipTensor): void {
  if (tensor.datatype !== description.datatype)
    throw invalid(
      `input ${quoted(tensor.name)} is ${tensor.datatype}; the model takes ${description.datatype}`,
    );
  const isSame =
    tensor.shape.length === description.shape.length &&
    description.shape.every((dimension, axis) => dimension === -1 || dimension === tensor.shape[axis]);
  if (!isSame)
    throw invalid(
      `input ${quoted(tensor.name)} has the shape [${tensor.shape}]; the model takes [${description.shape}]`,
    );
}

/** Indices of the requested outputs; all when none is named. Throws INVALID_ARGUMENT for an unknown one. */
export function matchOutputs(model: LoadedModel, names: readonly string[], what: string): number[] {
  if (names.length === 0) return model.outputs.map((_, index) => index);
  return names.map((name) => {
    const index = model.outputs.findIndex((output) => output.name === name);
    if (index >= 0) return index;
    const known = model.outputs.map((output) => quoted(output.name)).join(', ');
    throw invalid(`${what} has no output ${quoted(name)}; it has ${known}`);
  });
}
