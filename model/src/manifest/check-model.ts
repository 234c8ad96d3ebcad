import { HotloopError } from '@hotloop/proto/errors.ts';
import type { ModelDescription, TensorSpec } from '../onnx/inspect.ts';
import { columnsOf } from './columns.ts';
import { goldenProblems } from './golden-problems.ts';
import type { Manifest } from './manifest.ts';

/** What of a model's description is compared; `inspectModel` gives it. */
export type ModelInterface = Pick<ModelDescription, 'inputs' | 'outputs'>;

/**
 * Throws INVALID_ARGUMENT that names every field of the manifest that does not fit the file, what the file has, and what to
 * change. A model of task tensor brings its own inputs, so only its named output, what it keeps out of the log and its golden
 * examples are looked at.
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
  const picked = pickInput(manifest, model);
  if (typeof picked === 'string') return picked;
  if (picked.elementType !== 'float32')
    return `input: ${quoted(picked.name)} takes ${picked.elementType}; features are float32, so cast inside the model`;
  return batchProblem(manifest, picked) ?? widthProblem(manifest, picked);
}

function pickInput(manifest: Manifest, model: ModelInterface): TensorSpec | string {
  const names = model.inputs.map((input) => quoted(input.name)).join(', ') || 'none';
  if (manifest.input !== undefined && !model.inputs.some((input) => input.name === manifest.input))
    return `input: the model has no input ${quoted(manifest.input)}; it has ${names}`;
  if (model.inputs.length !== 1)
    return `input: the features fill one input, but the model has ${model.inputs.length} (${names}); export it with one, or use task tensor`;
  return model.inputs[0]!;
}

/** Rows of one prediction are candidates (ranking), and predictions are batched: so the first dimension must be free. */
function batchProblem(manifest: Manifest, input: TensorSpec): string | undefined {
  if (input.shape === null) return undefined;
  if (input.shape.length !== 2)
    return `input: ${quoted(input.name)} has shape ${shown(input.shape)}; rows are a matrix [N, F]`;
  const batch = input.shape[0];
  if (typeof batch !== 'number' || batch === 1) {
    if (batch === 1 && manifest.task === 'ranking')
      return `input: ${quoted(input.name)} takes one row at a time ${shown(input.shape)}; task ranking needs a free first dimension`;
    return undefined;
  }
  return `input: ${quoted(input.name)} always takes ${batch} rows ${shown(input.shape)}; make the first dimension free`;
}

function widthProblem(manifest: Manifest, input: TensorSpec): string | undefined {
  const wanted = input.shape?.[1];
  const columns = columnsOf(manifest);
  if (typeof wanted !== 'number' || wanted === columns.width) return undefined;
  const each = columns.features.map((feature) => `${feature.name} ${feature.width}`).join(', ');
  return `features: they make ${columns.width} columns (${shortened(each)}), but ${quoted(input.name)} takes ${wanted} ${shown(input.shape ?? [])}`;
}

function outputProblem(manifest: Manifest, model: ModelInterface): string | undefined {
  const output =
    manifest.output === undefined
      ? model.outputs[0]
      : model.outputs.find((candidate) => candidate.name === manifest.output);
  const names = model.outputs.map((candidate) => quoted(candidate.name)).join(', ');
  if (!output) return `output: the model has no output ${quoted(manifest.output ?? '')}; it has ${names}`;
  if (manifest.task === 'tensor') return undefined;
  const where = `output: ${quoted(output.name)}`;
  if (output.elementType !== 'float32' && output.elementType !== 'float64') {
    const others = model.outputs.length > 1 ? `; name the one that holds the scores among ${names}` : '';
    return `${where} holds ${output.elementType}, not numbers with a fraction${others}`;
  }
  return outputWidthProblem(manifest, output, where);
}

/** A name that is misspelt would be logged. Requests for features may name entities that no manifest knows; these do not. */
function redactProblem(manifest: Manifest, model: ModelInterface): string | undefined {
  const names = [...model.inputs, ...model.outputs].map((tensor) => tensor.name);
  const unknown = manifest.log.redact.find((name) => !names.includes(name));
  if (unknown === undefined) return undefined;
  return `log.redact: the model has no input or output ${quoted(unknown)}; it has ${shortened(names.map(quoted).join(', '))}`;
}

/** Numbers a row by task: see the table of outputs in the contracts. */
function outputWidthProblem(manifest: Manifest, output: TensorSpec, where: string): string | undefined {
  if (output.shape === null) return undefined;
  const shape = shown(output.shape);
  if (output.shape.length > 2) return `${where} has shape ${shape}; it must be [N] or [N, columns]`;
  // [N] is one number a row. An unnamed or named free width is only known when the model runs.
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
      return labels === undefined || labels === width
        ? undefined
        : `decision.labels: there are ${labels}, but ${quoted(output.name)} has ${width} numbers a row ${shape}`;
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

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 80));
}

function shown(shape: readonly (number | string | null)[]): string {
  return `[${shape.map((dimension) => dimension ?? '?').join(', ')}]`;
}
