import { int } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import type { GradientRule } from '../gradient-writer.ts';
import { type Direction, type DirectionGradients, RecurrentLayer } from './recurrent.ts';

/**
 * GRU. Gates z, r, n; h = (1 - z) n + z h', with h' of the step before, and n = tanh(x_n + r q), q = h' R_n + b (PyTorch,
 * `linear_before_reset`), or n = tanh(x_n + (r h') R_n + b) (Cho et al. 2014). Gates of all steps are computed again from
 * the hidden states; one loop goes back. Before the activations, with dh = dY + dh' of the step after:
 *
 * dz = dh (h' - n) z (1 - z), dn = dh (1 - z) (1 - n^2); with q: dr = dn q r (1 - r), dq = dn r,
 * dh' = dh z + [dz, dr, dq] R; else s = dn R_n, dr = s h' r (1 - r), dh' = dh z + s r + [dz, dr] R_zr.
 */
export const gru: GradientRule = (context) => {
  const layer = new RecurrentLayer(context, 3);
  const isLinearFirst = intAttribute(context.node, 'linear_before_reset', 0) === 1;
  const back = isLinearFirst ? linearFirst : resetFirst;
  return layer.gradients((direction) => back(layer, direction, context.node.inputs[0]!));
};

function linearFirst(layer: RecurrentLayer, direction: Direction, x: string): DirectionGradients {
  const { writer } = layer;
  const { add, mul, rest, sigmoid } = shorthand(layer);
  const { before, recurrentWeights } = direction;
  const [xz, xr, xn] = layer.gatesOf(layer.affine(x, direction.inputWeights, direction.biases?.[0] ?? null));
  const [hz, hr, q] = layer.gatesOf(layer.affine(before, recurrentWeights, direction.biases?.[1] ?? null));
  const [z, r] = [sigmoid(add(xz!, hz!)), sigmoid(add(xr!, hr!))];
  const n = writer.op('Tanh', [add(xn!, mul(r, q!))]);
  const slopeN = mul(rest(z), rest(mul(n, n)));
  const slopeZ = mul(writer.op('Sub', [before, n]), z, rest(z));
  const slopes = writer.op('Concat', [slopeZ, mul(slopeN, q!, r, rest(r)), mul(slopeN, r)], {
    axis: int(-1),
  });
  const [byInitial, byGates, byState] = layer.loop(
    [direction.byLast],
    [direction.byStep, slopes, z],
    !direction.isReverse,
    (graph, [after], [dy, slope, kept]) => {
      const dh = graph.node('Add', [dy!, after!]);
      const gates = graph.node('Mul', [graph.node('Concat', [dh, dh, dh], { axis: int(-1) }), slope!]);
      const through = graph.node('MatMul', [gates, recurrentWeights]);
      return {
        carried: [graph.node('Add', [through, graph.node('Mul', [dh, kept!])])],
        kept: [gates, dh],
      };
    },
  ) as [string, string, string];
  const [dz, dr] = layer.gatesOf(byGates);
  return {
    byInput: writer.op('Concat', [dz!, dr!, mul(byState, slopeN)], { axis: int(-1) }),
    byRecurrentWeights: layer.product(byGates, before),
    byRecurrentBias: writer.sum(byGates, [0, 1], false),
    byInitial: [byInitial],
  };
}

function resetFirst(layer: RecurrentLayer, direction: Direction, x: string): DirectionGradients {
  const { writer } = layer;
  const { add, mul, rest, sigmoid } = shorthand(layer);
  const { before } = direction;
  const sizes = writer.integers([2 * layer.hidden, layer.hidden]);
  const [weightsZR, weightsN] = writer.opOf('Split', [direction.recurrentWeights, sizes], 2) as [
    string,
    string,
  ];
  const [biasZR, biasN] = direction.biases
    ? writer.opOf('Split', [direction.biases[1], sizes], 2)
    : [null, null];
  const [xz, xr, xn] = layer.gatesOf(layer.affine(x, direction.inputWeights, direction.biases?.[0] ?? null));
  const [hz, hr] = layer.gatesOf(layer.affine(before, weightsZR, biasZR ?? null), 2);
  const [z, r] = [sigmoid(add(xz!, hz!)), sigmoid(add(xr!, hr!))];
  const reset = mul(r, before);
  const n = writer.op('Tanh', [add(xn!, layer.affine(reset, weightsN, biasN ?? null))]);
  const slopeN = mul(rest(z), rest(mul(n, n)));
  const slopeZ = mul(writer.op('Sub', [before, n]), z, rest(z));
  const slopeR = mul(before, r, rest(r));
  const [byInitial, byZR, byN] = layer.loop(
    [direction.byLast],
    [direction.byStep, slopeN, slopeZ, slopeR, z, r],
    !direction.isReverse,
    (graph, [after], [dy, slopeOfN, slopeOfZ, slopeOfR, kept, open]) => {
      const dh = graph.node('Add', [dy!, after!]);
      const dn = graph.node('Mul', [dh, slopeOfN!]);
      const s = graph.node('MatMul', [dn, weightsN]);
      const dz = graph.node('Mul', [dh, slopeOfZ!]);
      const zr = graph.node('Concat', [dz, graph.node('Mul', [s, slopeOfR!])], { axis: int(-1) });
      const direct = graph.node('Add', [graph.node('Mul', [dh, kept!]), graph.node('Mul', [s, open!])]);
      return {
        carried: [graph.node('Add', [graph.node('MatMul', [zr, weightsZR]), direct])],
        kept: [zr, dn],
      };
    },
  ) as [string, string, string];
  const byInput = writer.op('Concat', [byZR, byN], { axis: int(-1) });
  return {
    byInput,
    byRecurrentWeights: writer.op('Concat', [layer.product(byZR, before), layer.product(byN, reset)], {
      axis: int(0),
    }),
    byRecurrentBias: writer.sum(byInput, [0, 1], false),
    byInitial: [byInitial],
  };
}

function shorthand({ writer }: RecurrentLayer) {
  return {
    add: (a: string, b: string) => writer.op('Add', [a, b]),
    mul: (...values: string[]) => values.reduce((a, b) => writer.op('Mul', [a, b])),
    rest: (value: string) => writer.op('Sub', [writer.scalar(1), value]),
    sigmoid: (value: string) => writer.op('Sigmoid', [value]),
  };
}
