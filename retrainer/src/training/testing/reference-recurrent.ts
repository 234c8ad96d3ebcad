// LSTM and GRU in float64, from their definitions in the ONNX specification. Slow and plain on purpose.

export interface RecurrentShape {
  readonly operator: 'GRU' | 'LSTM';
  readonly steps: number;
  readonly batch: number;
  readonly inputs: number;
  readonly hidden: number;
  readonly direction: string;
  readonly linearBeforeReset: boolean;
}

export interface RecurrentWeights {
  readonly x: Float64Array;
  readonly w: Float64Array;
  readonly r: Float64Array;
  readonly b?: Float64Array | undefined;
  readonly h0?: Float64Array | undefined;
  readonly c0?: Float64Array | undefined;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** @returns the node's outputs: Y [T, D, B, H], Y_h [D, B, H] and, of an LSTM, Y_c [D, B, H]. */
export function referenceRecurrent(shape: RecurrentShape, weights: RecurrentWeights): Float64Array[] {
  const { steps, batch, hidden } = shape;
  const count = shape.direction === 'bidirectional' ? 2 : 1;
  const state = batch * hidden;
  const y = new Float64Array(steps * count * state);
  const lastH = new Float64Array(count * state);
  const lastC = new Float64Array(count * state);
  for (let d = 0; d < count; d++) {
    const isReverse = shape.direction === 'reverse' || d === 1;
    for (let e = 0; e < batch; e++) {
      const at = (d * batch + e) * hidden;
      const initial = (from: Float64Array | undefined) =>
        from ? from.slice(at, at + hidden) : new Float64Array(hidden);
      let [h, c]: [Float64Array, Float64Array] = [initial(weights.h0), initial(weights.c0)];
      for (let i = 0; i < steps; i++) {
        const t = isReverse ? steps - 1 - i : i;
        [h, c] =
          shape.operator === 'LSTM'
            ? lstmStep(shape, weights, d, e, t, h, c)
            : [gruStep(shape, weights, d, e, t, h), c];
        y.set(h, ((t * count + d) * batch + e) * hidden);
      }
      lastH.set(h, at);
      lastC.set(c, at);
    }
  }
  return shape.operator === 'LSTM' ? [y, lastH, lastC] : [y, lastH];
}

/** @returns what gate `gate` gets of the input and of a state, each with its bias, for hidden value k. */
function sums(shape: RecurrentShape, { x, w, r, b }: RecurrentWeights, d: number, e: number, t: number) {
  const { batch, inputs, hidden } = shape;
  const gates = shape.operator === 'LSTM' ? 4 : 3;
  return {
    input: (gate: number, k: number) => {
      const row = (d * gates + gate) * hidden + k;
      let sum = b ? b[d * 2 * gates * hidden + gate * hidden + k]! : 0;
      for (let i = 0; i < inputs; i++) sum += x[(t * batch + e) * inputs + i]! * w[row * inputs + i]!;
      return sum;
    },
    state: (gate: number, k: number, h: Float64Array) => {
      const row = (d * gates + gate) * hidden + k;
      let sum = b ? b[(d * 2 + 1) * gates * hidden + gate * hidden + k]! : 0;
      for (let i = 0; i < hidden; i++) sum += h[i]! * r[row * hidden + i]!;
      return sum;
    },
  };
}

function lstmStep(
  shape: RecurrentShape,
  weights: RecurrentWeights,
  d: number,
  e: number,
  t: number,
  h: Float64Array,
  c: Float64Array,
): [Float64Array, Float64Array] {
  const { input, state } = sums(shape, weights, d, e, t);
  const raw = (gate: number, k: number) => input(gate, k) + state(gate, k, h);
  const cell = c.map((before, k) => sigmoid(raw(2, k)) * before + sigmoid(raw(0, k)) * Math.tanh(raw(3, k)));
  return [cell.map((value, k) => sigmoid(raw(1, k)) * Math.tanh(value)), cell];
}

function gruStep(
  shape: RecurrentShape,
  weights: RecurrentWeights,
  d: number,
  e: number,
  t: number,
  h: Float64Array,
): Float64Array {
  const { input, state } = sums(shape, weights, d, e, t);
  const gate = (index: number, k: number) => sigmoid(input(index, k) + state(index, k, h));
  const reset = h.map((value, k) => gate(1, k) * value);
  return h.map((before, k) => {
    const through = shape.linearBeforeReset ? gate(1, k) * state(2, k, h) : state(2, k, reset);
    const z = gate(0, k);
    return (1 - z) * Math.tanh(input(2, k) + through) + z * before;
  });
}
