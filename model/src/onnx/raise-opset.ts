import { HotloopError } from '@hotloop/proto/errors.ts';
import { int } from './graph-builder.ts';
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode } from './model.ts';
import { float32Tensor, int64Tensor, type OnnxTensor } from './tensor.ts';

/** Below it, operators declare broadcasting in another way. */
const OLDEST = 7;

/** Operators that changed so much between the sets that nothing here rewrites them. */
const REFUSED: ReadonlySet<string> = new Set([
  'Upsample',
  'Resize',
  'GridSample',
  'Loop',
  'Scan',
  'If',
  'Hardmax',
]);
/** All but ReduceSum, whose axes became an input with set 13. */
const REDUCTIONS = /^Reduce(Max|Min|Mean|Prod|L1|L2|LogSum|LogSumExp|SumSquare)$/;

/**
 * Rewrites a network's nodes for a newer standard operator set: attributes that became inputs, and Softmax, which took a flattened
 * matrix before set 13. A network of that set or a newer one is returned as it is. Throws FAILED_PRECONDITION `not_fusable` naming the
 * operator that it cannot rewrite. Sources: the operators' change log of ONNX, sets 7 to 20.
 */
export function raiseOpset(model: OnnxModel, to: number): OnnxModel {
  const from = model.opsets.get('') ?? to;
  if (from >= to) return model;
  if (from < OLDEST) throw refused(`operator set ${from}`, `export the model with ${OLDEST} or later`);
  const graph = raiseGraph(model.graph, from, to);
  return { ...model, opsets: new Map(model.opsets).set('', to), graph };
}

function raiseGraph(graph: OnnxGraph, from: number, to: number): OnnxGraph {
  const initializers = new Map(graph.initializers);
  const context: Context = { from, to, initializers, count: 0 };
  const nodes = graph.nodes.flatMap((node) => (node.domain === '' ? raiseNode(node, context) : [node]));
  return { ...graph, nodes, initializers };
}

interface Context {
  readonly from: number;
  readonly to: number;
  readonly initializers: Map<string, OnnxTensor>;
  count: number;
}

function raiseNode(node: OnnxNode, context: Context): readonly OnnxNode[] {
  const { operator, attributes } = node;
  /** Whether a change of set `version` lies between the two. */
  const passes = (version: number) => context.from < version && context.to >= version;
  if (REFUSED.has(operator))
    throw refused(
      `operator ${operator} of set ${context.from}`,
      `export the model with operator set ${context.to} or later`,
    );
  switch (operator) {
    case 'Squeeze':
    case 'Unsqueeze':
    case 'ReduceSum':
      return passes(13) ? [attributesToInputs(node, context, [['axes', 1]])] : [node];
    case 'Split': {
      let split = passes(13) ? attributesToInputs(node, context, [['split', 1]]) : node;
      if (passes(18) && (split.inputs[1] ?? '') === '')
        split = withAttributes(split, { num_outputs: int(node.outputs.length) });
      return [split];
    }
    case 'Slice':
      return passes(10)
        ? [
            attributesToInputs(node, context, [
              ['starts', 1],
              ['ends', 2],
              ['axes', 3],
            ]),
          ]
        : [node];
    case 'Pad':
      return passes(11)
        ? [
            attributesToInputs(node, context, [
              ['pads', 1],
              ['value', 2],
            ]),
          ]
        : [node];
    case 'TopK':
      return passes(10) ? [attributesToInputs(node, context, [['k', 1]])] : [node];
    case 'Clip':
      return passes(11)
        ? [
            attributesToInputs(node, context, [
              ['min', 1],
              ['max', 2],
            ]),
          ]
        : [node];
    case 'Dropout': {
      if (!passes(12)) return [node];
      if ((node.outputs[1] ?? '') !== '')
        throw refused('the mask of Dropout', 'export the model for inference');
      return [{ ...node, operator: 'Identity', outputs: node.outputs.slice(0, 1), attributes: new Map() }];
    }
    case 'Scatter':
      return passes(11) ? [{ ...node, operator: 'ScatterElements' }] : [node];
    case 'BatchNormalization':
      if (passes(14) && node.outputs.filter((name) => name !== '').length > 1)
        throw refused('BatchNormalization in training', 'export the model for inference');
      return passes(9) ? [withoutAttributes(node, ['spatial'])] : [node];
    case 'Softmax':
    case 'LogSoftmax':
      return passes(13) ? flattened(node, attributes.get('axis'), context) : [node];
    default:
      return REDUCTIONS.test(operator) && passes(18)
        ? [attributesToInputs(node, context, [['axes', 1]])]
        : [node];
  }
}

/** Before set 13 the axes from `axis` on were one: flatten, the operator over the last axis, and the shape put back. */
function flattened(node: OnnxNode, axis: OnnxAttribute | undefined, context: Context): readonly OnnxNode[] {
  const [input = ''] = node.inputs;
  const [output = ''] = node.outputs;
  const value = (stem: string) => `${output}/${stem}_${context.count++}`;
  const [shape, flat, soft] = [value('shape'), value('flat'), value('soft')];
  const plain = (operator: string, inputs: readonly string[], made: string, given = {}): OnnxNode => ({
    name: `${node.name || output}/${operator}`,
    ...{ operator, domain: '', inputs, outputs: [made] },
    attributes: new Map(Object.entries(given)),
  });
  return [
    plain('Shape', [input], shape),
    plain('Flatten', [input], flat, { axis: axis ?? int(1) }),
    plain(node.operator, [flat], soft, { axis: int(1) }),
    plain('Reshape', [soft, shape], output),
  ];
}

/** Attributes that became inputs at the given places. An attribute that is not there leaves its input out. */
function attributesToInputs(
  node: OnnxNode,
  { initializers, ...context }: Context,
  moved: readonly (readonly [name: string, place: number])[],
): OnnxNode {
  const inputs = [...node.inputs];
  for (const [name, place] of moved) {
    const attribute = node.attributes.get(name);
    if (attribute === undefined) continue;
    const initializer = `${node.outputs[0]}/${name}_${context.count}`;
    initializers.set(initializer, tensorOf(attribute, name));
    while (inputs.length < place) inputs.push('');
    inputs[place] = initializer;
  }
  const names = moved.map(([name]) => name);
  return { ...withoutAttributes(node, names), inputs };
}

function tensorOf(attribute: OnnxAttribute, name: string): OnnxTensor {
  switch (attribute.kind) {
    case 'ints':
      return int64Tensor(attribute.value.map(Number), [attribute.value.length]);
    case 'int':
      return int64Tensor([Number(attribute.value)], [1]);
    case 'float':
      return float32Tensor([attribute.value], []);
    default:
      throw refused(`the attribute ${name}`, 'export the model with a newer operator set');
  }
}

function withoutAttributes(node: OnnxNode, names: readonly string[]): OnnxNode {
  return { ...node, attributes: new Map([...node.attributes].filter(([name]) => !names.includes(name))) };
}

function withAttributes(node: OnnxNode, more: Readonly<Record<string, OnnxAttribute>>): OnnxNode {
  return { ...node, attributes: new Map([...node.attributes, ...Object.entries(more)]) };
}

function refused(what: string, remedy: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', `${what} cannot be fused; ${remedy}`, {
    reason: 'not_fusable',
  });
}
