import { GraphBuilder, int, ints } from '@hotloop/model/onnx/graph-builder.ts';
import { intAttribute } from '@hotloop/model/onnx/node-attributes.ts';
import { quoted, unsound } from '@hotloop/model/onnx/unsound.ts';
import type { GradientContext, GradientWriter } from '../gradient-writer.ts';

/** One direction of a recurrent layer, read apart. T steps, B examples, I inputs, H hidden values, G gates. */
export interface Direction {
  readonly index: number;
  readonly isReverse: boolean;
  /** [G H, I] */
  readonly inputWeights: string;
  /** [G H, H] */
  readonly recurrentWeights: string;
  /** [G H] each; null where the layer has no biases. */
  readonly biases: readonly [input: string, recurrent: string] | null;
  /** [T, B, H]: the hidden state before each step. */
  readonly before: string;
  /** [T, B, H]: the gradient by the hidden state of each step, as the rest of the graph gives it. */
  readonly byStep: string;
  /** [B, H]: the gradient by the last hidden state. */
  readonly byLast: string;
}

/** What a direction's backward pass found. */
export interface DirectionGradients {
  /** [T, B, G H]: by what the input weights gave. */
  readonly byInput: string;
  /** [G H, H] */
  readonly byRecurrentWeights: string;
  /** [G H] */
  readonly byRecurrentBias: string;
  /** [B, H] by each initial state, in the order of the node's inputs from 5 on. */
  readonly byInitial: readonly string[];
}

/** The nodes that LSTM and GRU share, written for one node. */
export class RecurrentLayer {
  readonly writer: GradientWriter;
  readonly hidden: number;
  readonly #context: GradientContext;
  readonly #gates: number;

  /** @throws a coded error naming the node for a variant without a gradient rule. */
  constructor(context: GradientContext, gates: number) {
    this.writer = context.writer;
    this.#context = context;
    this.#gates = gates;
    const { node } = context;
    this.hidden = intAttribute(node, 'hidden_size', 0);
    const refused = ['activations', 'clip', 'input_forget', 'layout'].find(
      (name) => node.attributes.has(name) && !isDefault(node, name, gates),
    );
    const what = refused ?? (node.inputs[4] ? 'sequence_lens' : node.inputs[7] ? 'peepholes' : undefined);
    if (what) {
      throw unsound(
        `cannot train through node ${quoted(node.name || node.outputs.find(Boolean)!)} of type ${quoted(node.operator)} ` +
          `with ${what}: it has no gradient rule; train only the weights behind it, by naming them in training.trainable`,
      );
    }
  }

  /** Writes the backward pass of every direction and puts the gradients of the node's inputs together. */
  gradients(back: (direction: Direction) => DirectionGradients): (string | null)[] {
    const { node, needs } = this.#context;
    const { writer } = this;
    const directions = this.#directions();
    const found = directions.map((direction) => ({ direction, ...back(direction) }));
    const stacked = (write: (each: (typeof found)[number]) => string) =>
      writer.op(
        'Concat',
        found.map((each) => writer.op('Unsqueeze', [write(each), writer.integers([0])])),
        { axis: int(0) },
      );
    const byX = () =>
      found
        .map(({ byInput, direction }) => writer.op('MatMul', [byInput, direction.inputWeights]))
        .reduce((a, b) => writer.op('Add', [a, b]));
    const byBiases = (each: (typeof found)[number]) =>
      writer.op('Concat', [writer.sum(each.byInput, [0, 1], false), each.byRecurrentBias], { axis: int(0) });
    return [
      needs(0) ? byX() : null,
      needs(1) ? stacked(({ byInput }) => this.product(byInput, node.inputs[0]!)) : null,
      needs(2) ? stacked(({ byRecurrentWeights }) => byRecurrentWeights) : null,
      needs(3) ? stacked(byBiases) : null,
      null,
      needs(5) ? stacked(({ byInitial }) => byInitial[0]!) : null,
      needs(6) ? stacked(({ byInitial }) => byInitial[1]!) : null,
    ];
  }

  /** @returns the gradient [R, C] of a matrix, from [T, B, R] behind it and [T, B, C] before it. */
  product(behind: string, before: string): string {
    const { writer } = this;
    const rows = (value: string) => {
      const width = writer.op('Slice', [
        writer.shapeTensor(value),
        writer.integers([2]),
        writer.integers([3]),
      ]);
      return writer.op('Reshape', [
        value,
        writer.op('Concat', [writer.integers([-1]), width], { axis: int(0) }),
      ]);
    };
    return writer.op('Gemm', [rows(behind), rows(before)], { transA: int(1) });
  }

  /** @returns values [T, B, ...] times the transpose of a matrix, plus a bias. */
  affine(value: string, matrix: string, bias: string | null): string {
    const product = this.writer.op('MatMul', [value, this.writer.op('Transpose', [matrix])]);
    return bias ? this.writer.op('Add', [product, bias]) : product;
  }

  /** Cuts gates apart along the last axis. */
  gatesOf(value: string, count = this.#gates): readonly string[] {
    const sizes = this.writer.integers(Array<number>(count).fill(this.hidden));
    return this.writer.opOf('Split', [value, sizes], count, { axis: int(-1) });
  }

  /** @returns an initial state [B, H] of a direction: input 5 or 6, or zeros. */
  initialState(input: number, direction: number): string {
    const name = this.#context.node.inputs[input];
    return name ? this.#pick(name, direction, 0) : this.#zeroState();
  }

  /** @returns the gradient by a last state, output 1 or 2: [B, H]. */
  byLastState(output: number, direction: number): string {
    const gradient = this.#context.gradients[output];
    return gradient ? this.#pick(gradient, direction, 0) : this.#zeroState();
  }

  /**
   * Writes a loop over the steps.
   *
   * @param carried values handed from step to step, as they are at the beginning. @param scanned [T, B, ...] each.
   * @param isBackward whether it begins at the last step.
   * @param body writes one step. @returns the carried values at the end, then what was kept of each step: [T, B, ...].
   */
  loop(
    carried: readonly string[],
    scanned: readonly string[],
    isBackward: boolean,
    body: (
      graph: GraphBuilder,
      carried: readonly string[],
      scanned: readonly string[],
    ) => { carried: readonly string[]; kept: readonly string[] },
  ): readonly string[] {
    const { writer } = this;
    const prefix = `${writer.uniqueName('step')}/`;
    const graph = new GraphBuilder(prefix);
    const inputs = [...carried, ...scanned].map((_, i) =>
      graph.input(`${prefix}in_${i}`, writer.floatType, null),
    );
    const made = body(graph, inputs.slice(0, carried.length), inputs.slice(carried.length));
    const outputs = [...made.carried, ...made.kept];
    for (const output of outputs) graph.output(graph.node('Identity', [output]), writer.floatType, null);
    const directions = (count: number) => ints(Array<number>(count).fill(isBackward ? 1 : 0));
    return writer.opOf('Scan', [...carried, ...scanned], outputs.length, {
      body: { kind: 'graph', value: graph.build('step').graph },
      num_scan_inputs: int(scanned.length),
      scan_input_directions: directions(scanned.length),
      scan_output_directions: directions(made.kept.length),
    });
  }

  #directions(): readonly Direction[] {
    const { node, gradients } = this.#context;
    const { writer } = this;
    const [x, w, r, b] = node.inputs as [string, string, string, string | undefined];
    const declared = node.attributes.get('direction');
    const kind = declared?.kind === 'string' ? declared.value : 'forward';
    const all = writer.outputOf(node.outputs.find(Boolean)!, 0);
    return (kind === 'bidirectional' ? [false, true] : [kind === 'reverse']).map((isReverse, index) => {
      const states = this.#pick(all, index, 1);
      const first = writer.op('Unsqueeze', [this.initialState(5, index), writer.integers([0])]);
      const cut = (from: number, to: number) =>
        writer.op('Slice', [states, writer.integers([from]), writer.integers([to]), writer.integers([0])]);
      const before = isReverse ? [cut(1, 2 ** 31), first] : [first, cut(0, -1)];
      const bias = b ? this.#pick(b, index, 0) : undefined;
      const half = this.#gates * this.hidden;
      return {
        index,
        isReverse,
        inputWeights: this.#pick(w, index, 0),
        recurrentWeights: this.#pick(r, index, 0),
        biases: bias
          ? (writer.opOf('Split', [bias, writer.integers([half, half])], 2) as [string, string])
          : null,
        before: writer.op('Concat', before, { axis: int(0) }),
        byStep: gradients[0] ? this.#pick(gradients[0], index, 1) : this.#zeroSteps(x),
        byLast: this.byLastState(1, index),
      };
    });
  }

  #pick(value: string, index: number, axis: number): string {
    return this.writer.op('Gather', [value, this.writer.scalarInteger(index)], { axis: int(axis) });
  }

  #zeroState(): string {
    const { writer } = this;
    const shape = writer.shapeTensor(this.#context.node.inputs[0]!);
    const batch = writer.op('Slice', [shape, writer.integers([1]), writer.integers([2])]);
    return writer.zeros(writer.op('Concat', [batch, writer.integers([this.hidden])], { axis: int(0) }));
  }

  #zeroSteps(x: string): string {
    const { writer } = this;
    const lead = writer.op('Slice', [writer.shapeTensor(x), writer.integers([0]), writer.integers([2])]);
    return writer.zeros(writer.op('Concat', [lead, writer.integers([this.hidden])], { axis: int(0) }));
  }
}

const defaultActivations: Readonly<Record<number, readonly string[]>> = {
  3: ['sigmoid', 'tanh'],
  4: ['sigmoid', 'tanh', 'tanh'],
};

function isDefault(node: GradientContext['node'], name: string, gates: number): boolean {
  const attribute = node.attributes.get(name);
  if (attribute?.kind === 'int') return attribute.value === 0n;
  if (attribute?.kind === 'float') return attribute.value === 0;
  const usual = defaultActivations[gates]!;
  return (
    attribute?.kind === 'strings' &&
    attribute.value.every((each, i) => each.toLowerCase() === usual[i % usual.length])
  );
}
