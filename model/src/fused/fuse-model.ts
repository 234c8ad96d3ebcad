import { HotloopError } from '@hotloop/proto/errors.ts';
import { compileFeatures } from '../features/compile-feature.ts';
import { columnsOf } from '../manifest/columns.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { GraphBuilder, int } from '../onnx/graph-builder.ts';
import { encodeModel, type OnnxModel } from '../onnx/model.ts';
import { elementTypeCode, float32Tensor } from '../onnx/tensor.ts';
import { adoptNetwork, readNetwork } from './adopt-network.ts';
import { fuseDecision } from './fuse-decision.ts';
import { FeatureWriter, type FusedInput } from './fuse-features.ts';
import { ML_DOMAIN, RUNTIME_DOMAIN } from './fused-column.ts';

/** Which version a fused file holds; kept in its metadata. */
export interface FusedOrigin {
  readonly version: number;
  readonly bundleSha256: string;
}

export interface FusedModel {
  readonly onnx: Uint8Array;
  readonly inputs: readonly FusedInput[];
  readonly outputs: readonly string[];
  /** Operators of ONNX Runtime's own that the file needs; empty: any runtime of the standard can execute it. */
  readonly runtimeOperators: readonly string[];
}

export interface FuseOptions {
  /**
   * For engines that have whole columns: a text input `x` is [U, 1], each text once, and `x (row)` int32 [N] says which of them a row
   * has. Texts are then handed over and transformed once each instead of once a row.
   */
  readonly distinctTexts: boolean;
}

/** Operators of ours need set 13; a network's own is kept when it is newer. */
const LEAST_OPSET = 13;
const FLOAT32_LIMIT = 3.4028235677973366e38;

/**
 * Writes one ONNX file that takes raw fields and returns the decision: the stateless part of the feature plan, the
 * network, the decision. Each input is [N, width] and named by its source; what the graph cannot compute (history,
 * reference data, transforms without operators) is an input too, and says why. For task ranking a row is one candidate,
 * and `score` is what the candidates of one request are ordered by.
 *
 * Throws FAILED_PRECONDITION `not_fusable` naming what stands in the way.
 */
export function fuseModel(
  manifest: Manifest,
  onnx: Uint8Array,
  origin: FusedOrigin,
  options: FuseOptions = { distinctTexts: false },
): FusedModel {
  if (manifest.runtime.remote !== undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} is served by another server, so there is no file of it; ask the front door`,
      { reason: 'not_fusable' },
    );
  if (manifest.pipeline !== undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} asks other models first (pipeline), which one file does not hold; ask the front door`,
      { reason: 'not_fusable' },
    );
  const network = readNetwork(onnx);
  const opset = network.opsets.get('') ?? 0;
  if (opset < LEAST_OPSET)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} uses operator set ${opset}; export it with ${LEAST_OPSET} or later to fuse it`,
      { reason: 'not_fusable' },
    );
  const graph = new GraphBuilder('hotloop/');
  const writer = new FeatureWriter(graph, options);
  const ranking = manifest.task === 'ranking';
  const layout = columnsOf(manifest);
  const compiled = compileFeatures(manifest.features, ranking);
  if (!layout.isMatrix)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name}: features that feed several inputs cannot be fused`,
      { reason: 'not_fusable' },
    );
  const features = manifest.features.flatMap((feature, index) => {
    const one = compiled[index];
    return one === undefined || one.hidden ? [] : [writer.write(feature, one)];
  });
  if (features.length === 0)
    throw new HotloopError('FAILED_PRECONDITION', `model ${manifest.name} has no features to fuse`, {
      reason: 'not_fusable',
    });
  const columns = features.map((feature) => feature.columns);
  const matrix = graph.node('Concat', columns, { axis: int(1) });
  const accepted = features
    .flatMap((feature) => feature.accepted)
    .reduce((all, flag) => graph.node('And', [all, flag]), allFinite(graph, matrix, layout.width));
  const input = networkInput(manifest, network);
  const fed = graph.node('Cast', [matrix], { to: int(elementTypeCode(input.elementType)) });
  const outputs = adoptNetwork(graph, network.graph, new Map([[input.name, fed]]));
  const at = outputIndex(manifest, network);
  fuseDecision(graph, manifest, { value: outputs[at]!, spec: network.graph.outputs[at]! }, accepted);
  const metadata = {
    'hotloop.model': manifest.name,
    'hotloop.version': String(origin.version),
    'hotloop.bundle_sha256': origin.bundleSha256,
    'hotloop.inputs': JSON.stringify(writer.inputs),
  };
  const model = graph.build(`${manifest.name} version ${origin.version}`, {
    irVersion: network.irVersion,
    opset: operatorSets(network, graph),
    metadata,
  });
  return {
    onnx: encodeModel(model),
    inputs: writer.inputs,
    outputs: model.graph.outputs.map(({ name }) => name),
    runtimeOperators: [
      ...new Set(
        graph.nodes.filter(({ domain }) => domain === RUNTIME_DOMAIN).map(({ operator }) => operator),
      ),
    ],
  };
}

/** bool[N, 1]: whether every column of a row is a number that float32 can hold. */
function allFinite(graph: GraphBuilder, matrix: string, width: number): string {
  const limit = graph.constant('limit', float32Tensor([Math.fround(FLOAT32_LIMIT)], [1, 1]));
  const fits = graph.node('Less', [graph.node('Abs', [matrix]), limit]);
  const broken = graph.node('Cast', [graph.node('Not', [fits])], { to: int(elementTypeCode('float32')) });
  const ones = graph.constant('ones', float32Tensor(new Float32Array(width).fill(1), [width, 1]));
  const count = graph.node('MatMul', [broken, ones]);
  return graph.node('Not', [graph.node('Cast', [count], { to: int(elementTypeCode('bool')) })]);
}

function networkInput(manifest: Manifest, { graph }: OnnxModel) {
  const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const found = manifest.input === undefined ? inputs[0] : inputs.find(({ name }) => name === manifest.input);
  if (found === undefined || inputs.length > 1)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name}: a network with ${inputs.length} inputs cannot be fused`,
      { reason: 'not_fusable' },
    );
  return found;
}

function outputIndex(manifest: Manifest, { graph }: OnnxModel): number {
  if (manifest.output === undefined) return 0;
  const at = graph.outputs.findIndex(({ name }) => name === manifest.output);
  if (at < 0)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name}: the network has no output ${manifest.output}`,
      { reason: 'not_fusable' },
    );
  return at;
}

/** The network's operator sets, and those that the plan's operators need beside them. */
function operatorSets(network: OnnxModel, graph: GraphBuilder): ReadonlyMap<string, number> {
  const sets = new Map(network.opsets);
  const used = new Set(graph.nodes.map(({ domain }) => domain));
  if (used.has(ML_DOMAIN) && !sets.has(ML_DOMAIN)) sets.set(ML_DOMAIN, 3);
  if (used.has(RUNTIME_DOMAIN)) sets.set(RUNTIME_DOMAIN, 1);
  return sets;
}
