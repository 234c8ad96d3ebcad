import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxModel } from '@hotloop/model/onnx/model.ts';
import { int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { unsound } from '@hotloop/model/onnx/unsound.ts';

/**
 * The same model with one input float32[N, width], which is split and shaped into the inputs that features feed. A gradient by the row is then one by
 * all of them.
 *
 * @throws a coded error (INVALID_ARGUMENT) where an input is not float32, or features feed other inputs than the graph has.
 */
export function joinInputs(model: OnnxModel, manifest: Pick<Manifest, 'features' | 'task'>): OnnxModel {
  const { inputs, width, isMatrix } = columnsOf(manifest);
  if (isMatrix) return model;
  const { graph } = model;
  const declared = graph.inputs.filter(({ name }) => !graph.initializers.has(name));
  const taken = [...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.initializers.keys()];
  const builder = new GraphBuilder('hotloop_join_', taken);
  const row = builder.input('hotloop_row', 'float32', ['N', width]);
  const sizes = inputs.map((input) => input.width);
  const pieces =
    sizes.length === 1
      ? [row]
      : builder.nodeOf('Split', [row, builder.constant('widths', int64Tensor(sizes))], sizes.length, {
          axis: int(1),
        });
  for (const [index, { name, shape, width: columns }] of inputs.entries()) {
    const input = name === undefined ? declared[0] : declared.find((one) => one.name === name);
    if (input?.elementType !== 'float32') throw unsound('gradients by the inputs need float32 inputs');
    const rest = shape ?? (input.shape?.length === 1 ? [] : [columns]);
    const shaped = builder.constant('shape', int64Tensor([-1, ...rest]));
    builder.node('Reshape', [pieces[index] ?? row, shaped], {}, { outputs: [input.name] });
  }
  if (declared.length !== inputs.length)
    throw unsound(`the graph has ${declared.length} inputs, and features feed ${inputs.length}`);
  const before = builder.build(graph.name).graph;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: before.inputs,
      initializers: new Map([...before.initializers, ...graph.initializers]),
      nodes: [...before.nodes, ...graph.nodes],
    },
  };
}
