import { HotloopError } from '@hotloop/proto/errors.ts';
import { type CompiledFeature, compileFeatures } from '../features/compile-feature.ts';
import { type InputLayout, layOut } from '../features/input-layout.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { GraphBuilder, int } from '../onnx/graph-builder.ts';
import { encodeModel, type OnnxModel, type ValueSpec } from '../onnx/model.ts';
import { raiseOpset } from '../onnx/raise-opset.ts';
import { elementTypeCode, float64Tensor, int64Tensor } from '../onnx/tensor.ts';
import { adoptNetwork, readNetwork } from './adopt-network.ts';
import { allOf } from './fuse-checks.ts';
import { fuseDecision } from './fuse-decision.ts';
import { FeatureWriter, type FusedFeature, type FuseOptions, OPSET_OF_TEXT } from './fuse-features.ts';
import { ML_DOMAIN, numberConstant, RUNTIME_DOMAIN } from './fused-column.ts';
import type { FusedInput } from './fused-input.ts';

/** The version in a fused file; stored in its metadata. */
export interface FusedOrigin {
  readonly version: number;
  readonly bundleSha256: string;
}

export interface FusedModel {
  readonly onnx: Uint8Array;
  readonly inputs: readonly FusedInput[];
  readonly outputs: readonly string[];
  /** Numbers that one row becomes before the network; what a run needs grows with rows times columns. */
  readonly columns: number;
  /**
   * ONNX Runtime's own operators that the file needs; empty: any runtime that implements the standard can execute it.
   */
  readonly runtimeOperators: readonly string[];
}

/** Our operators need operator set 13; a network with an older one is converted, a newer one is kept. */
const LEAST_OPSET = 13;
const FLOAT32_LIMIT = 3.4028235677973366e38;
/** The IR version that belongs to operator set 13. */
const LEAST_IR = 7;
/** Larger integers are not exact in a double. */
const SAFE = 2 ** 53;

/**
 * Writes one ONNX file that maps raw fields to the decision: the stateless part of the feature plan, the
 * network, the decision. Each input is [N, width] and named by its source; what the graph cannot compute (history,
 * reference data, transforms without operators) is an input too, and says why. For task ranking a row is one candidate,
 * and `score` is what the candidates of one request are ordered by.
 *
 * Throws FAILED_PRECONDITION `not_fusable` naming the obstacle.
 */
export function fuseModel(
  manifest: Manifest,
  onnx: Uint8Array,
  origin: FusedOrigin,
  options: FuseOptions = { distinctTexts: false },
): FusedModel {
  if (manifest.runtime.remote !== undefined)
    throw notFusable(
      manifest,
      'it is served by another server, so there is no file to fuse; use the prediction API',
    );
  if (manifest.pipeline !== undefined)
    throw notFusable(
      manifest,
      'it uses other models (pipeline), which one file cannot contain; use the prediction API',
    );
  if (manifest.task === 'tensor')
    throw notFusable(manifest, 'task tensor has no features and no decision; its model.onnx is the file');
  const read = readNetwork(onnx);
  const graph = new GraphBuilder('hotloop/');
  const compiled = compileFeatures(manifest.features, manifest.task === 'ranking');
  const writer = new FeatureWriter(graph, manifest.features, compiled, options);
  const { fed, accepted } = writeInputs(graph, writer, manifest, compiled, read);
  const ofDecision = manifest.task === 'multilabel' ? OPSET_OF_TEXT : 0;
  const network = raiseOpset(read, Math.max(LEAST_OPSET, writer.leastOpset, ofDecision));
  const outputs = adoptNetwork(graph, network.graph, fed);
  const at = outputIndex(manifest, network);
  const spec = network.graph.outputs[at] as ValueSpec;
  fuseDecision(graph, manifest, { value: outputs[at] as string, spec }, { accepted, writer, compiled });
  const columns = layOut(compiled).inputs.reduce((sum, { width }) => sum + width, 0);
  const metadata = {
    'hotloop.model': manifest.name,
    'hotloop.version': String(origin.version),
    'hotloop.bundle_sha256': origin.bundleSha256,
    'hotloop.columns': String(columns),
    'hotloop.inputs': JSON.stringify(writer.inputs),
  };
  const model = graph.build(`${manifest.name} version ${origin.version}`, {
    irVersion: Math.max(network.irVersion, LEAST_IR),
    opset: operatorSets(network, graph),
    metadata,
  });
  return {
    onnx: encodeModel(model),
    inputs: writer.inputs,
    columns,
    outputs: model.graph.outputs.map(({ name }) => name),
    runtimeOperators: [
      ...new Set(
        graph.nodes.filter(({ domain }) => domain === RUNTIME_DOMAIN).map(({ operator }) => operator),
      ),
    ],
  };
}

/**
 * Arranges the features as the inputs of the network: one matrix each, in the element type that the manifest
 * declares.
 *
 * @returns the value of the graph that each input of the network reads, and bool[N, 1], whether a row is accepted.
 */
function writeInputs(
  graph: GraphBuilder,
  writer: FeatureWriter,
  manifest: Manifest,
  compiled: readonly CompiledFeature[],
  network: OnnxModel,
): { readonly fed: ReadonlyMap<string, string>; readonly accepted: string } {
  const { inputs, placed } = layOut(compiled);
  if (inputs.length === 0) throw notFusable(manifest, 'no feature has a column');
  const features = compiled.map((feature, index) =>
    feature.hidden ? { columns: '', accepted: writer.writeHidden(index) } : writer.write(index),
  );
  const fed = new Map<string, string>();
  const flags = features.flatMap((feature) => feature.accepted);
  const wanted = network.graph.inputs.filter(({ name }) => !network.graph.initializers.has(name));
  for (const [index, layout] of inputs.entries()) {
    const members = compiled.flatMap((feature, at) => (placed[at]?.input === index ? [{ feature, at }] : []));
    const isText = layout.dtype === 'string';
    const readOf = ({ at }: (typeof members)[number]) => features[at] as FusedFeature;
    const input = networkInput(manifest, wanted, layout.name);
    const castOf = (value: string) =>
      isText ? value : graph.node('Cast', [value], { to: int(elementTypeCode(input.elementType)) });
    const sideBySide = (values: readonly string[]) =>
      values.length === 1 ? (values[0] as string) : graph.node('Concat', values, { axis: int(1) });
    const doubles = new Map(
      members
        .filter((member) => readOf(member).isFinite !== true)
        .map((member) => {
          const { columns: made } = readOf(member);
          const isReady = writer.inputs.some(({ name, type }) => name === made && type === 'float32');
          return [
            member,
            isReady ? graph.node('Cast', [made], { to: int(elementTypeCode('float64')) }) : made,
          ] as const;
        }),
    );
    const checked = doubles.size === 0 ? undefined : sideBySide([...doubles.values()]);
    if (checked !== undefined && !isText) {
      const compiledOf = [...doubles.keys()].map(({ feature }) => feature);
      const width = compiledOf.reduce((sum, feature) => sum + feature.width, 0);
      flags.push(isHeld(graph, checked, { ...layout, width }, compiledOf));
    }
    // What is finite already is large, so it is neither checked nor widened.
    const cast =
      checked !== undefined && doubles.size === members.length
        ? castOf(checked)
        : sideBySide(members.map((member) => castOf(doubles.get(member) ?? readOf(member).columns)));
    const shaped =
      layout.shape === undefined
        ? cast
        : graph.node('Reshape', [
            cast,
            graph.constant('shape', int64Tensor([-1, ...layout.shape], [layout.shape.length + 1])),
          ]);
    fed.set(input.name, shaped);
  }
  const unfed = wanted.filter(({ name }) => !fed.has(name)).map(({ name }) => name);
  if (unfed.length > 0)
    throw notFusable(manifest, `the network's input ${unfed.join(', ')} is fed by no feature`);
  // A text always fits its type; the flag is then true for every row.
  const [first = everyRow(graph, fed), ...others] = flags;
  return { fed, accepted: others.reduce((all, flag) => graph.node('And', [all, flag]), first) };
}

/**
 * bool[N, 1]: whether every column of a row, float64[N, width], is a number that the input's element type can
 * represent.
 */
function isHeld(
  graph: GraphBuilder,
  matrix: string,
  { dtype, width }: InputLayout,
  features: readonly CompiledFeature[],
): string {
  const size = graph.node('Abs', [matrix]);
  switch (dtype) {
    case 'float32':
    case 'float64': {
      const limit = dtype === 'float32' ? FLOAT32_LIMIT : Number.POSITIVE_INFINITY;
      const held = graph.node('Less', [size, numberConstant(graph, limit)]);
      if (!features.some(({ takesNaN }) => takesNaN)) return allOf(graph, held, width);
      const takes = features.flatMap((feature) =>
        new Array<number>(feature.width).fill(Number(feature.takesNaN)),
      );
      const mask = graph.node('Cast', [graph.constant('takes NaN', float64Tensor(takes, [1, width]))], {
        to: int(elementTypeCode('bool')),
      });
      const known = graph.node('And', [graph.node('IsNaN', [matrix]), mask]);
      return allOf(graph, graph.node('Or', [held, known]), width);
    }
    case 'bool': {
      const isOne = graph.node('Equal', [matrix, numberConstant(graph, 1)]);
      const isZero = graph.node('Equal', [matrix, numberConstant(graph, 0)]);
      return allOf(graph, graph.node('Or', [isOne, isZero]), width);
    }
    default: {
      const whole = graph.node('Equal', [graph.node('Floor', [matrix]), matrix]);
      const least = dtype === 'int64' ? -SAFE : -(2 ** 31) - 1;
      const most = dtype === 'int64' ? SAFE : 2 ** 31;
      const above = graph.node('Less', [numberConstant(graph, least), matrix]);
      const below = graph.node('Less', [matrix, numberConstant(graph, most)]);
      return allOf(graph, graph.node('And', [whole, graph.node('And', [above, below])]), width);
    }
  }
}

/** bool[N, 1], all true. */
function everyRow(graph: GraphBuilder, fed: ReadonlyMap<string, string>): string {
  const [any = ''] = fed.values();
  const shape = graph.node('Shape', [any]);
  const at = graph.constant('first', int64Tensor([0], [1]));
  const rows = graph.node('Gather', [shape, at], { axis: int(0) });
  const one = graph.constant('one', int64Tensor([1], [1]));
  const dims = graph.node('Concat', [rows, one], { axis: int(0) });
  const yes = graph.node('Cast', [numberConstant(graph, 1)], { to: int(elementTypeCode('bool')) });
  return graph.node('Expand', [yes, dims]);
}

/** The network's input that a layout feeds: the named one, the manifest's, or the only one. */
function networkInput(
  manifest: Manifest,
  inputs: readonly ValueSpec[],
  layout: string | undefined,
): ValueSpec {
  const wanted = layout ?? manifest.input;
  const found = wanted === undefined ? inputs[0] : inputs.find(({ name }) => name === wanted);
  if (found === undefined) throw notFusable(manifest, `the network has no input ${wanted ?? ''}`);
  if (wanted === undefined && inputs.length > 1)
    throw notFusable(manifest, `the network has ${inputs.length} inputs and the manifest names none`);
  return found;
}

function notFusable({ name }: Manifest, problem: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', `model ${name}: ${problem}`, { reason: 'not_fusable' });
}

/** The named output; otherwise the first floating point output, or the first of all, as in the decision plan. */
function outputIndex(manifest: Manifest, { graph }: OnnxModel): number {
  const { output } = manifest;
  const scores = graph.outputs.findIndex(({ elementType }) => /^(float|double)/.test(elementType));
  const at =
    output === undefined ? Math.max(0, scores) : graph.outputs.findIndex(({ name }) => name === output);
  const spec = graph.outputs[at];
  if (spec === undefined) throw notFusable(manifest, `the network has no output ${output}`);
  if (!/^(float|double)/.test(spec.elementType))
    throw notFusable(manifest, `the output ${spec.name} contains labels, not scores`);
  return at;
}

/** The network's operator sets, plus those that the plan's operators need. */
function operatorSets(network: OnnxModel, graph: GraphBuilder): ReadonlyMap<string, number> {
  const sets = new Map(network.opsets);
  const used = new Set(graph.nodes.map(({ domain }) => domain));
  if (used.has(ML_DOMAIN) && !sets.has(ML_DOMAIN)) sets.set(ML_DOMAIN, 3);
  if (used.has(RUNTIME_DOMAIN)) sets.set(RUNTIME_DOMAIN, 1);
  return sets;
}
