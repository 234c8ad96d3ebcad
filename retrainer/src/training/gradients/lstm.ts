import { int } from '@hotloop/model/onnx/graph-builder.ts';
import type { GradientRule } from '../gradient-writer.ts';
import { type Direction, type DirectionGradients, RecurrentLayer } from './recurrent.ts';

/**
 * LSTM. Gates i, o, f, g; c = f c' + i g, h = o tanh(c), with c' and h' of the step before. Gates of all steps are
 * computed again from the hidden states in one product; one loop finds the cell states, another goes back:
 *
 * dh = dY + dh', dc = dc' + dh o (1 - tanh(c)^2); before the activations: di = dc g i (1 - i),
 * do = dh tanh(c) o (1 - o), df = dc c' f (1 - f), dg = dc i (1 - g^2); dh' = [di, do, df, dg] R, dc' = dc f.
 * Hochreiter and Schmidhuber 1997, Gers et al. 2000.
 */
export const lstm: GradientRule = (context) => {
  const layer = new RecurrentLayer(context, 4);
  return layer.gradients((direction) => backward(layer, direction, context.node.inputs[0]!));
};

function backward(layer: RecurrentLayer, direction: Direction, x: string): DirectionGradients {
  const { writer } = layer;
  const mul = (...values: string[]) => values.reduce((a, b) => writer.op('Mul', [a, b]));
  const rest = (value: string) => writer.op('Sub', [writer.scalar(1), value]);
  const byInput = layer.affine(x, direction.inputWeights, direction.biases?.[0] ?? null);
  const byBefore = layer.affine(direction.before, direction.recurrentWeights, direction.biases?.[1] ?? null);
  const [rawI, rawO, rawF, rawG] = layer.gatesOf(writer.op('Add', [byInput, byBefore])) as [
    string,
    string,
    string,
    string,
  ];
  const [i, o, f] = [rawI, rawO, rawF].map((raw) => writer.op('Sigmoid', [raw])) as [string, string, string];
  const g = writer.op('Tanh', [rawG]);
  const [, cellBefore, cell] = layer.loop(
    [layer.initialState(6, direction.index)],
    [f, mul(i, g)],
    direction.isReverse,
    (graph, [c], [forget, added]) => {
      const next = graph.node('Add', [graph.node('Mul', [forget!, c!]), added!]);
      return { carried: [next], kept: [c!, next] };
    },
  ) as [string, string, string];
  const t = writer.op('Tanh', [cell]);
  const slopes = writer.op(
    'Concat',
    [mul(g, i, rest(i)), mul(t, o, rest(o)), mul(cellBefore, f, rest(f)), mul(i, rest(mul(g, g)))],
    { axis: int(-1) },
  );
  const throughCell = mul(o, rest(mul(t, t)));
  const [byInitialH, byInitialC, byGates] = layer.loop(
    [direction.byLast, layer.byLastState(2, direction.index)],
    [direction.byStep, throughCell, slopes, f],
    !direction.isReverse,
    (graph, [dhAfter, dcAfter], [dy, dcByDh, slope, forget]) => {
      const dh = graph.node('Add', [dy!, dhAfter!]);
      const dc = graph.node('Add', [dcAfter!, graph.node('Mul', [dh, dcByDh!])]);
      const gates = graph.node('Mul', [graph.node('Concat', [dc, dh, dc, dc], { axis: int(-1) }), slope!]);
      const dhBefore = graph.node('MatMul', [gates, direction.recurrentWeights]);
      return { carried: [dhBefore, graph.node('Mul', [dc, forget!])], kept: [gates] };
    },
  ) as [string, string, string];
  return {
    byInput: byGates,
    byRecurrentWeights: layer.product(byGates, direction.before),
    byRecurrentBias: writer.sum(byGates, [0, 1], false),
    byInitial: [byInitialH, byInitialC],
  };
}
