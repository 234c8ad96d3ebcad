import { GraphBuilder, int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxModel } from '@hotloop/model/onnx/model.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { elementCount, float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';

/** One network of the training benchmark, with its weights named and ordered as in PyTorch. */
export interface TrainModel {
  readonly kind: 'mlp' | 'conv' | 'lstm';
  /** The sizes from which the peer builds the same network. */
  readonly sizes: Readonly<Record<string, number | readonly number[]>>;
  readonly model: OnnxModel;
  /** Shape of one input row. */
  readonly rowShape: readonly number[];
  readonly batch: number;
  /** Converts a weight's values from ONNX's order to PyTorch's, where they differ. */
  readonly toTorch: (name: string, values: readonly number[]) => readonly number[];
}

const SEED = 11;
const same = (_name: string, values: readonly number[]) => values;

function writer() {
  const random = new SeededRandom(SEED);
  const graph = new GraphBuilder('m/');
  const weight = (name: string, dims: readonly number[], fanIn: number) =>
    graph.initializer(
      name,
      float32Tensor(
        Float32Array.from({ length: elementCount(dims) }, () => random.normal() / Math.sqrt(fanIn)),
        dims,
      ),
    );
  const linear = (value: string, name: string, from: number, to: number) =>
    graph.node(
      'Gemm',
      [value, weight(`${name}.weight`, [to, from], from), weight(`${name}.bias`, [to], from)],
      {
        transB: int(1),
      },
    );
  const finish = (value: string) => {
    graph.node('Sigmoid', [value], {}, { outputs: ['score'] });
    graph.output('score', 'float32', ['N', 1]);
    return graph.build('train');
  };
  return { graph, weight, linear, finish };
}

/** A perceptron of ReLU layers. */
export function trainMlp(widths: readonly number[] = [64, 256, 128, 1]): TrainModel {
  const { graph, linear, finish } = writer();
  let value = graph.input('input', 'float32', ['N', widths[0]!]);
  for (let layer = 1; layer < widths.length; layer++) {
    value = linear(value, `${2 * (layer - 1)}`, widths[layer - 1]!, widths[layer]!);
    if (layer < widths.length - 1) value = graph.node('Relu', [value]);
  }
  return {
    kind: 'mlp',
    sizes: { widths },
    model: finish(value),
    rowShape: [widths[0]!],
    batch: 128,
    toTorch: same,
  };
}

/** Three 3 x 3 convolutions over a small image. */
export function trainConv(channels = 16, side = 16): TrainModel {
  const { graph, weight, linear, finish } = writer();
  let value = graph.input('input', 'float32', ['N', 1, side, side]);
  for (const [layer, from] of [1, channels, channels].entries()) {
    const name = `${2 * layer}`;
    const kernel = weight(`${name}.weight`, [channels, from, 3, 3], 9 * from);
    const bias = weight(`${name}.bias`, [channels], 9 * from);
    value = graph.node('Conv', [value, kernel, bias], {
      kernel_shape: ints([3, 3]),
      pads: ints([1, 1, 1, 1]),
    });
    value = graph.node('Relu', [value]);
  }
  const pooled = graph.node('Flatten', [graph.node('GlobalAveragePool', [value])]);
  return {
    kind: 'conv',
    sizes: { channels, side },
    model: finish(linear(pooled, '8', channels, 1)),
    rowShape: [1, side, side],
    batch: 64,
    toTorch: same,
  };
}

/** One LSTM over a sequence; the output is computed from its last state. */
export function trainLstm(steps = 20, inputs = 16, hidden = 64): TrainModel {
  const { graph, weight, linear, finish } = writer();
  const input = graph.input('input', 'float32', ['N', steps, inputs]);
  const sequence = graph.node('Transpose', [input], { perm: ints([1, 0, 2]) });
  const w = weight('lstm.weight_ih_l0', [1, 4 * hidden, inputs], hidden);
  const r = weight('lstm.weight_hh_l0', [1, 4 * hidden, hidden], hidden);
  const biases = graph.node(
    'Concat',
    [weight('lstm.bias_ih_l0', [1, 4 * hidden], hidden), weight('lstm.bias_hh_l0', [1, 4 * hidden], hidden)],
    { axis: int(1) },
  );
  const [, last] = graph.nodeOf('LSTM', [sequence, w, r, biases], 2, { hidden_size: int(hidden) });
  const state = graph.node('Squeeze', [last!, graph.constant('axis', int64Tensor([0]))]);
  return {
    kind: 'lstm',
    sizes: { steps, inputs, hidden },
    model: finish(linear(state, 'head', hidden, 1)),
    rowShape: [steps, inputs],
    batch: 64,
    toTorch: (name, values) => {
      if (!name.startsWith('lstm.')) return values;
      // ONNX orders the gates i, o, f, g; PyTorch i, f, g, o.
      const quarter = values.length / 4;
      return [0, 2, 3, 1].flatMap((gate) => values.slice(gate * quarter, (gate + 1) * quarter));
    },
  };
}
