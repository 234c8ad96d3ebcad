import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { TensorSpec } from '../onnx/inspect.ts';
import type { ElementType } from '../onnx/tensor.ts';
import type { Golden, NestedValues } from './golden-schema.ts';
import { type Element, type FlatValues, flattenValues } from './nested-values.ts';

interface ModelInterface {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

const MOST_NAMED = 5;

/**
 * Golden examples that do not fit the model's inputs and outputs in names, shapes, types or ranges: one line each,
 * starting with the field; only the first problem of each example. Whether the output values are right is only known
 * by running the model.
 */
export function goldenProblems(golden: Golden | undefined, model: ModelInterface): string[] {
  const found = (golden?.examples ?? []).flatMap(({ inputs, outputs }, index) => {
    const where = `golden.examples.${index}`;
    const problem =
      missingInput(inputs, model) ??
      tensorsProblem('input', inputs, model.inputs) ??
      tensorsProblem('output', outputs, model.outputs);
    return problem === undefined ? [] : [`${where}: ${problem}`];
  });
  const rest = found.length - MOST_NAMED;
  return rest > 0 ? [...found.slice(0, MOST_NAMED), `golden.examples: ${rest} more do not fit`] : found;
}

function missingInput(inputs: Readonly<Record<string, NestedValues>>, model: ModelInterface) {
  const missing = model.inputs.find(({ name }) => !Object.hasOwn(inputs, name));
  return missing && `input ${quotedJson(missing.name)} is missing; every input of the model is required`;
}

function tensorsProblem(
  kind: 'input' | 'output',
  tensors: Readonly<Record<string, NestedValues>>,
  specs: readonly TensorSpec[],
): string | undefined {
  for (const [name, values] of Object.entries(tensors)) {
    const spec = specs.find((candidate) => candidate.name === name);
    if (!spec) {
      const names = specs.map((candidate) => quotedJson(candidate.name)).join(', ');
      return `the model has no ${kind} ${quotedJson(name)}; it has ${names}`;
    }
    const problem = tensorProblem(spec, values);
    if (problem !== undefined) return `${kind} ${quotedJson(name)} ${problem}`;
  }
  return undefined;
}

function tensorProblem(spec: TensorSpec, values: NestedValues): string | undefined {
  let flat: FlatValues;
  try {
    flat = flattenValues(values);
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
  const { shape, elements } = flat;
  const fits =
    spec.shape === null ||
    (spec.shape.length === shape.length &&
      spec.shape.every((size, axis) => typeof size !== 'number' || size === shape[axis]));
  if (!fits)
    return `has shape [${shape}], but the model's is [${spec.shape?.map((size) => size ?? '?').join(', ')}]`;
  const index = elements.findIndex((element) => !isElement(spec.elementType, element));
  if (index < 0) return undefined;
  const shown = JSON.stringify(elements[index]).slice(0, 80);
  const hint = spec.elementType.endsWith('int64') ? '; write whole numbers past 2^53 as text' : '';
  return `contains ${shown}, which is not ${spec.elementType}${hint}`;
}

const LARGEST: Partial<Record<ElementType, number>> = {
  float16: 65_504,
  bfloat16: (2 - 2 ** -7) * 2 ** 127,
  float32: (2 - 2 ** -23) * 2 ** 127,
  float64: Number.MAX_VALUE,
};

const INTEGER = /^(u?)int(8|16|32|64)$/;

function isElement(type: ElementType, element: Element): boolean {
  if (type === 'string') return typeof element === 'string';
  if (type === 'bool') return typeof element === 'boolean';
  const largest = LARGEST[type];
  if (largest !== undefined) return typeof element === 'number' && Math.abs(element) <= largest;
  const [, unsigned, bits] = INTEGER.exec(type) ?? [];
  return bits !== undefined && isInteger(element, Number(bits), unsigned === 'u');
}

function isInteger(element: Element, bits: number, unsigned: boolean): boolean {
  const isWhole =
    typeof element === 'number'
      ? Number.isSafeInteger(element)
      : bits === 64 && typeof element === 'string' && /^-?\d{1,20}$/.test(element);
  if (!isWhole) return false;
  const value = BigInt(element);
  return value === (unsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value));
}
