import { HotloopError } from '@hotloop/proto/errors.ts';
import { quotedJson } from '@hotloop/proto/quoted.ts';
import type { ModelDescription, TensorSpec } from '../onnx/inspect.ts';
import { type Columns, columnsOf } from './columns.ts';
import { goldenProblems } from './golden-problems.ts';
import type { Manifest } from './manifest.ts';

/** The part of a model's description that is compared; from `inspectModel`. */
export type ModelInterface = Pick<ModelDescription, 'inputs' | 'outputs'>;

/**
 * Throws INVALID_ARGUMENT that names every field of the manifest that does not fit the file, what the file has, and
 * what to change. A model of task tensor defines its own inputs, so only its named output, its redacted tensors and
 * its golden examples are checked.
 */
export function checkManifestFits(manifest: Manifest, model: ModelInterface): void {
  const problems =
    manifest.task === 'tensor'
      ? [outputProblem(manifest, model), redactProblem(manifest, model)]
      : [inputProblem(manifest, model), outputProblem(manifest, model)];
  const fitting = problems.filter((problem) => problem !== undefined);
  const found = [...fitting, ...goldenProblems(manifest.golden, model)];
  if (found.length > 0)
    throw new HotloopError('INVALID_ARGUMENT', `model.yaml does not fit model.onnx: ${found.join('; ')}`, {
      reason: 'manifest_does_not_fit',
    });
}

function inputProblem(manifest: Manifest, model: ModelInterface): string | undefined {
  const columns = columnsOf(manifest);
  if (!columns.isMatrix || columns.inputs[0]?.name !== undefined)
    return typedInputProblem(manifest, model, columns);
  const picked = pickInput(manifest, model);
  if (typeof picked === 'string') return picked;
  if (picked.elementType !== 'float32')
    return `input: ${quotedJson(picked.name)} takes ${picked.elementType}; features are float32, so set dtype, or cast inside the model`;
  return batchProblem(manifest, picked) ?? widthProblem(manifest, picked);
}

/**
 * For features that feed several inputs, or one that is not a float32 matrix: each input must be fed, with the right
 * type and shape.
 */
function typedInputProblem(manifest: Manifest, model: ModelInterface, columns: Columns): string | undefined {
  const names = model.inputs.map((input) => quotedJson(input.name)).join(', ') || 'none';
  const fed = new Set<string>();
  for (const { name, dtype, width, shape } of columns.inputs) {
    const wanted = name ?? manifest.input ?? (model.inputs.length === 1 ? model.inputs[0]?.name : undefined);
    if (wanted === undefined) {
      const unnamed =
        columns.features.find(({ input, width: own }) => input === undefined && own > 0)?.name ?? '';
      return `features.${unnamed}: the model has ${model.inputs.length} inputs (${names}); name the one it feeds with \`input\``;
    }
    const input = model.inputs.find((candidate) => candidate.name === wanted);
    const feature =
      columns.features.find((candidate) => candidate.input === name && candidate.width > 0)?.name ?? '';
    if (!input) return `features.${feature}: the model has no input ${quotedJson(wanted)}; it has ${names}`;
    fed.add(wanted);
    if (input.elementType !== dtype)
      return `features.${feature}: input ${quotedJson(wanted)} takes ${input.elementType}, not ${dtype}; set ${input.elementType === 'string' ? 'type: text' : `dtype: ${input.elementType}`}`;
    const problem = batchShapeProblem(manifest, input, shape ?? [width]);
    if (problem !== undefined) return problem;
  }
  const hungry = model.inputs.find(({ name }) => !fed.has(name));
  return hungry && `input: no feature feeds ${quotedJson(hungry.name)}; name it with \`input\` on a feature`;
}

function batchShapeProblem(
  manifest: Manifest,
  input: TensorSpec,
  row: readonly number[],
): string | undefined {
  if (input.shape === null) return undefined;
  const [batch, ...rest] = input.shape;
  const where = `input: ${quotedJson(input.name)}`;
  if (typeof batch === 'number' && (batch !== 1 || manifest.task === 'ranking'))
    return `${where} always takes ${batch} rows ${shown(input.shape)}; make the first dimension free`;
  const isFlat = rest.length === 0 && row.length === 1 && row[0] === 1;
  const fits =
    isFlat ||
    (rest.length === row.length &&
      rest.every((size, axis) => typeof size !== 'number' || size === row[axis]));
  return fits
    ? undefined
    : `${where} takes ${shown(input.shape)}, but its features make [N, ${row.join(', ')}]`;
}

function pickInput(manifest: Manifest, model: ModelInterface): TensorSpec | string {
  const names = model.inputs.map((input) => quotedJson(input.name)).join(', ') || 'none';
  if (manifest.input !== undefined && !model.inputs.some((input) => input.name === manifest.input))
    return `input: the model has no input ${quotedJson(manifest.input)}; it has ${names}`;
  if (model.inputs.length !== 1)
    return `input: the features fill one input, but the model has ${model.inputs.length} (${names}); name the one that each feature feeds with \`input\`, export it with one, or use task tensor`;
  return model.inputs[0]!;
}

/**
 * Rows of one prediction are candidates (ranking), and predictions are batched, so the first dimension must be free.
 */
function batchProblem(manifest: Manifest, input: TensorSpec): string | undefined {
  if (input.shape === null) return undefined;
  if (input.shape.length !== 2)
    return `input: ${quotedJson(input.name)} has shape ${shown(input.shape)}; rows are a matrix [N, F]`;
  const batch = input.shape[0];
  if (typeof batch !== 'number' || batch === 1) {
    if (batch === 1 && manifest.task === 'ranking')
      return `input: ${quotedJson(input.name)} takes one row at a time ${shown(input.shape)}; task ranking needs a free first dimension`;
    return undefined;
  }
  return `input: ${quotedJson(input.name)} always takes ${batch} rows ${shown(input.shape)}; make the first dimension free`;
}

function widthProblem(manifest: Manifest, input: TensorSpec): string | undefined {
  const wanted = input.shape?.[1];
  const columns = columnsOf(manifest);
  if (typeof wanted !== 'number' || wanted === columns.width) return undefined;
  const each = columns.features.map((feature) => `${feature.name} ${feature.width}`).join(', ');
  return `features: they make ${columns.width} columns (${shortened(each)}), but ${quotedJson(input.name)} takes ${wanted} ${shown(input.shape ?? [])}`;
}

function outputProblem(manifest: Manifest, model: ModelInterface): string | undefined {
  const output =
    manifest.output === undefined
      ? (model.outputs.find(({ elementType }) => isFraction(elementType)) ?? model.outputs[0])
      : model.outputs.find((candidate) => candidate.name === manifest.output);
  const names = model.outputs.map((candidate) => quotedJson(candidate.name)).join(', ');
  if (!output) return `output: the model has no output ${quotedJson(manifest.output ?? '')}; it has ${names}`;
  if (manifest.task === 'tensor') return undefined;
  const where = `output: ${quotedJson(output.name)}`;
  if (isLabelOutput(manifest, output)) return undefined;
  if (!isFraction(output.elementType)) {
    const others = model.outputs.length > 1 ? `; name the one that holds the scores among ${names}` : '';
    return `${where} holds ${output.elementType}, not numbers with a fraction${others}`;
  }
  return outputWidthProblem(manifest, output, where);
}

/** Classifiers of scikit-learn output their label separately; it is a decision without scores. */
function isLabelOutput({ task, output: named }: Manifest, { elementType }: TensorSpec): boolean {
  const isLabel = elementType === 'string' || elementType === 'int64' || elementType === 'int32';
  return named !== undefined && isLabel && (task === 'binary' || task === 'multiclass');
}

function isFraction(type: TensorSpec['elementType']): boolean {
  return type === 'float32' || type === 'float64';
}

/**
 * A misspelt name would leave its tensor in the log. Only checked for names of tensors, because requests may contain
 * entities that no manifest declares.
 */
function redactProblem(manifest: Manifest, model: ModelInterface): string | undefined {
  const names = [...model.inputs, ...model.outputs].map((tensor) => tensor.name);
  const unknown = manifest.log.redact.find((name) => !names.includes(name));
  if (unknown === undefined) return undefined;
  return `log.redact: the model has no input or output ${quotedJson(unknown)}; it has ${shortened(names.map(quotedJson).join(', '))}`;
}

/** Values per row by task: see the table of outputs in the contracts. */
function outputWidthProblem(manifest: Manifest, output: TensorSpec, where: string): string | undefined {
  if (output.shape === null) return undefined;
  const shape = shown(output.shape);
  if (output.shape.length > 2) return `${where} has shape ${shape}; it must be [N] or [N, columns]`;
  // [N] means one value per row. A free width, named or not, is only known when the model runs.
  const width = output.shape.length < 2 ? 1 : output.shape[1];
  if (typeof width !== 'number') return undefined;
  const labels = manifest.decision.labels?.length;
  switch (manifest.task) {
    case 'binary':
      if (labels !== undefined && labels !== 2)
        return `decision.labels: task binary has two labels, not ${labels}`;
      return width === 1 || width === 2
        ? undefined
        : `${where} has ${width} numbers a row ${shape}; task binary needs one or two`;
    case 'multiclass':
    case 'multilabel':
      return labels === undefined || labels === width
        ? undefined
        : `decision.labels: there are ${labels}, but ${quotedJson(output.name)} has ${width} numbers a row ${shape}`;
    case 'regression':
    case 'ranking':
      return width === 1
        ? undefined
        : `${where} has ${width} numbers a row ${shape}; task ${manifest.task} needs one`;
    case 'tensor':
      return undefined;
  }
}

const LONGEST_LIST = 400;

function shortened(text: string): string {
  return text.length <= LONGEST_LIST ? text : `${text.slice(0, LONGEST_LIST)}...`;
}

function shown(shape: readonly (number | string | null)[]): string {
  return `[${shape.map((dimension) => dimension ?? '?').join(', ')}]`;
}
