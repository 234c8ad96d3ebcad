import type { OnnxGraph, OnnxNode } from '@hotloop/model/onnx/model.ts';
import { floatAttribute, intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import type { LossName, LossSpec } from '@hotloop/model/training/training-settings.ts';
import type { BoundInput } from './bind-inputs.ts';
import { cellsOfRows, StoredCells } from './feature-cells.ts';
import type { TrainingDataset } from './training-dataset.ts';

/** Where a value of natural units lies and how wide it spreads: standard = (natural - mean) / deviation. */
export interface Unit {
  readonly mean: number;
  readonly deviation: number;
}

/** One layer y = x W + b whose weights can take a change of units in: W [in, out] or, flipped, [out, in]; b [out]. */
export interface FoldingLayer {
  readonly weight: string;
  readonly bias: string;
  readonly isFlipped: boolean;
  readonly inputs: number;
  readonly outputs: number;
  /** The column of the model's input that each of its inputs is; absent: they are the same. */
  readonly columns?: readonly number[];
}

/** The change of units of one input: of its columns, and of all layers that read it. */
export interface InputUnits {
  /** The input's first column in a row of the dataset. */
  readonly start: number;
  readonly columns: readonly Unit[];
  readonly layers: readonly FoldingLayer[];
}

/** The change of units of one run; nothing of what is not needed or the model cannot take in. */
export interface NaturalUnits {
  readonly inputs: readonly InputUnits[];
  readonly target: Unit | null;
  readonly last: FoldingLayer | null;
}

/** Values by initializer name. */
export type Weights = ReadonlyMap<string, Float64Array>;

const regressions: ReadonlySet<LossName> = new Set([
  'mean_squared_error',
  'mean_absolute_error',
  'huber',
  'quantile',
]);

/** Beyond this a column's mean or deviation disturbs training with usual learning rates. */
const usualScale = 5;

/**
 * Finds the units to train in: columns and, for a regression, labels of usual size stay as they are; others are standardised
 * where the layers that read an input, and the last layer, are such that the change can be folded into their trained weights afterwards.
 *
 * @param trained the names of the trained weights. @param rows the rows that are learnt from.
 */
export function findUnits(
  graph: OnnxGraph,
  names: {
    readonly inputs: readonly BoundInput[];
    readonly output: string;
    readonly trained: ReadonlySet<string>;
  },
  loss: LossSpec,
  dataset: TrainingDataset,
  rows: Uint32Array,
): NaturalUnits {
  const isFoldable = (layer: FoldingLayer | null): layer is FoldingLayer =>
    layer !== null && names.trained.has(layer.weight) && names.trained.has(layer.bias);
  const ending = regressions.has(loss.name) ? lastLayer(graph, names.output) : null;
  const last = isFoldable(ending) ? ending : null;
  const inputs = names.inputs.flatMap(({ name, dtype, start, width }) => {
    const layers = dtype === 'float32' ? layersAfter(graph, name) : [];
    const isFolded =
      layers.length > 0 &&
      layers.every((layer) => isFoldable(layer) && layer.inputs === (layer.columns?.length ?? width));
    const columns = isFolded ? columnUnits(dataset, rows, start, width) : null;
    return columns === null ? [] : [{ start, columns, layers: layers.filter(isFoldable) }];
  });
  const target =
    last?.outputs === 1
      ? unitsOf(rows, dataset.weights, 1, function* (ordered) {
          for (const row of ordered) yield [dataset.labels[row]!];
        })[0]!
      : null;
  const isUnusual = target && !(isUsual(target) && target.deviation > 1 / usualScale);
  return { inputs, target: isUnusual ? target : null, last };
}

const isUsual = ({ mean, deviation }: Unit) => Math.abs(mean) <= usualScale && deviation <= usualScale;

/** The units of the columns of one input; null where all are of usual size. */
function columnUnits(
  dataset: TrainingDataset,
  rows: Uint32Array,
  start: number,
  width: number,
): readonly Unit[] | null {
  const units = unitsOf(rows, dataset.weights, width, function* (ordered) {
    for (let at = 0; at < ordered.length; at += MEASURED_ROWS) {
      const cells = cellsOfRows(dataset, ordered.subarray(at, at + MEASURED_ROWS));
      for (let from = start; from < cells.length; from += dataset.columns)
        yield cells.subarray(from, from + width);
    }
  });
  const usual = units.map((unit) => (isUsual(unit) ? { mean: 0, deviation: 1 } : unit));
  return usual.some(({ mean, deviation }) => mean !== 0 || deviation !== 1) ? usual : null;
}

/** Rows whose cells are in memory at once. */
const MEASURED_ROWS = 1024;

/**
 * The weighted mean and deviation of each column; a constant has deviation 1. Two passes: large means do not cancel.
 *
 * @param values gives the [width] values of each row, in the order that it is given.
 */
function unitsOf(
  rows: Uint32Array,
  weights: Float32Array,
  width: number,
  values: (ordered: Uint32Array) => Iterable<ArrayLike<number>>,
): Unit[] {
  // In the order in which they lie: they may be in a file.
  const ordered = rows.slice().sort();
  const [sums, squares] = [new Float64Array(width), new Float64Array(width)];
  let [total, at] = [0, 0];
  for (const row of values(ordered)) {
    const weight = weights[ordered[at++]!]!;
    total += weight;
    for (let column = 0; column < width; column++) sums[column]! += weight * row[column]!;
  }
  const means = sums.map((sum) => sum / total);
  at = 0;
  for (const row of values(ordered)) {
    const weight = weights[ordered[at++]!]!;
    for (let column = 0; column < width; column++)
      squares[column]! += weight * (row[column]! - means[column]!) ** 2;
  }
  return Array.from(means, (mean, column) => {
    const deviation = Math.sqrt(squares[column]! / total);
    return { mean, deviation: deviation > 1e-12 * Math.max(1, Math.abs(mean)) ? deviation : 1 };
  });
}

/** @returns the dataset in standard units. */
export function standardised(dataset: TrainingDataset, { inputs, target }: NaturalUnits): TrainingDataset {
  if (inputs.length === 0 && !target) return dataset;
  const standardise = (cells: Float32Array) => {
    for (const { start, columns } of inputs)
      for (const [column, { mean, deviation }] of columns.entries())
        for (let at = start + column; at < cells.length; at += dataset.columns)
          cells[at] = (cells[at]! - mean) / deviation;
  };
  const labels = target
    ? dataset.labels.map((value) => (value - target.mean) / target.deviation)
    : dataset.labels;
  if (inputs.length === 0) return { ...dataset, labels };
  if (dataset.features instanceof StoredCells)
    return { ...dataset, features: dataset.features.changed(standardise), labels };
  const features = dataset.features.slice();
  standardise(features);
  return { ...dataset, features, labels };
}

/** @returns the loss with its options in standard units. */
export function standardisedLoss(loss: LossSpec, { target }: NaturalUnits): LossSpec {
  return loss.name === 'huber' && target ? { ...loss, delta: (loss.delta ?? 1) / target.deviation } : loss;
}

/** @returns what a loss in standard units is multiplied by to be the loss in natural ones. */
export function lossFactor({ name }: LossSpec, { target }: NaturalUnits): number {
  if (!target) return 1;
  return name === 'mean_squared_error' || name === 'huber' ? target.deviation ** 2 : target.deviation;
}

/** Weights for natural units become weights for standard ones: the same function. */
export function toStandard(weights: Weights, { inputs, target, last }: NaturalUnits): Weights {
  const changed = new Map([...weights].map(([name, values]) => [name, values.slice()]));
  for (const { columns, layers } of inputs)
    for (const layer of layers) {
      const [w, b] = [changed.get(layer.weight)!, changed.get(layer.bias)!];
      eachWeight(layer, (at, i, o) => {
        const { mean, deviation } = columns[layer.columns?.[i] ?? i]!;
        b[o]! += mean * w[at]!;
        w[at]! *= deviation;
      });
    }
  if (target && last) {
    const [w, b] = [changed.get(last.weight)!, changed.get(last.bias)!];
    eachWeight(last, (at) => {
      w[at]! /= target.deviation;
    });
    b[0] = (b[0]! - target.mean) / target.deviation;
  }
  return changed;
}

/** Undoes `toStandard`. */
export function toNatural(weights: Weights, { inputs, target, last }: NaturalUnits): Weights {
  const changed = new Map([...weights].map(([name, values]) => [name, values.slice()]));
  if (target && last) {
    const [w, b] = [changed.get(last.weight)!, changed.get(last.bias)!];
    eachWeight(last, (at) => {
      w[at]! *= target.deviation;
    });
    b[0] = b[0]! * target.deviation + target.mean;
  }
  for (const { columns, layers } of inputs)
    for (const layer of layers) {
      const [w, b] = [changed.get(layer.weight)!, changed.get(layer.bias)!];
      eachWeight(layer, (at, i, o) => {
        const { mean, deviation } = columns[layer.columns?.[i] ?? i]!;
        w[at]! /= deviation;
        b[o]! -= mean * w[at]!;
      });
    }
  return changed;
}

function eachWeight(layer: FoldingLayer, visit: (at: number, input: number, output: number) => void): void {
  for (let i = 0; i < layer.inputs; i++) {
    for (let o = 0; o < layer.outputs; o++) {
      visit(layer.isFlipped ? o * layer.inputs + i : i * layer.outputs + o, i, o);
    }
  }
}

/** The layers that read an input, or some of its columns; null for a node that is none. */
function layersAfter(graph: OnnxGraph, input: string): (FoldingLayer | null)[] {
  const readers = graph.nodes.filter((node) => node.inputs.includes(input));
  return readers.flatMap((node) => {
    if (node.inputs[0] !== input) return [null];
    const columns = pickedColumns(graph, node);
    if (columns === null) return [layerOf(graph, node)];
    return layersAfter(graph, node.outputs[0]!).map((layer) =>
      layer === null || layer.columns ? null : { ...layer, columns },
    );
  });
}

/** The constant columns that a Gather takes; null for other nodes. */
function pickedColumns(graph: OnnxGraph, node: OnnxNode): readonly number[] | null {
  if (node.operator !== 'Gather' || node.domain !== '' || intAttribute(node, 'axis', 0) !== 1) return null;
  const columns = graph.initializers.get(node.inputs[1] ?? '');
  if (columns?.elementType !== 'int64' || columns.dims.length !== 1) return null;
  return Array.from(columns.data as BigInt64Array, Number);
}

function lastLayer(graph: OnnxGraph, output: string): FoldingLayer | null {
  const producer = (name: string) => graph.nodes.find((node) => node.outputs.includes(name));
  let node = producer(output);
  while (node?.operator === 'Identity' || node?.operator === 'Reshape' || node?.operator === 'Squeeze')
    node = producer(node.inputs[0]!);
  if (node?.operator === 'Add') node = node.inputs.map(producer).find((each) => each?.operator === 'MatMul');
  return node ? layerOf(graph, node) : null;
}

/** Reads a Gemm, or a MatMul whose product goes into one Add with a bias. */
function layerOf(graph: OnnxGraph, node: OnnxNode): FoldingLayer | null {
  const weight = node.inputs[1] ?? '';
  const bias =
    node.operator === 'Gemm'
      ? node.inputs[2]
      : node.operator === 'MatMul'
        ? biasAfter(graph, node)
        : undefined;
  const dims = graph.initializers.get(weight)?.dims;
  if (!bias || dims?.length !== 2 || !graph.initializers.has(bias)) return null;
  const isPlain =
    intAttribute(node, 'transA', 0) === 0 &&
    floatAttribute(node, 'alpha', 1) === 1 &&
    floatAttribute(node, 'beta', 1) === 1;
  const uses = (name: string) =>
    graph.nodes.flatMap(({ inputs }) => inputs).filter((each) => each === name).length;
  if (!isPlain || uses(weight) !== 1 || uses(bias) !== 1) return null;
  const isFlipped = intAttribute(node, 'transB', 0) === 1;
  const [inputs, outputs] = (isFlipped ? dims.toReversed() : dims) as [number, number];
  return graph.initializers.get(bias)!.data.length === outputs
    ? { weight, bias, isFlipped, inputs, outputs }
    : null;
}

function biasAfter(graph: OnnxGraph, product: OnnxNode): string | undefined {
  const readers = graph.nodes.filter((node) => node.inputs.includes(product.outputs[0]!));
  const [add] = readers;
  if (readers.length !== 1 || add?.operator !== 'Add') return undefined;
  return add.inputs.find((name) => name !== product.outputs[0]);
}
