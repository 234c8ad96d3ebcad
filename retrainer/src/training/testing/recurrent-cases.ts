import { int } from '@hotloop/model/onnx/graph-builder.ts';
import type { OperatorCase } from './random-graph.ts';
import { referenceRecurrent } from './reference-recurrent.ts';

const recurrent =
  (operator: 'GRU' | 'LSTM'): OperatorCase =>
  (g) => {
    const gates = operator === 'LSTM' ? 4 : 3;
    const [steps, batch, inputs, hidden] = [g.size(), g.size(), g.size(), 1 + g.random.integer(3)];
    const direction = g.pick(['forward', 'reverse', 'bidirectional']);
    const count = direction === 'bidirectional' ? 2 : 1;
    const values = [
      g.weight([steps, batch, inputs]),
      g.weight([count, gates * hidden, inputs]),
      g.weight([count, gates * hidden, hidden]),
    ];
    if (g.chance(0.8)) values.push(g.weight([count, 2 * gates * hidden]));
    if (values.length === 4 && g.chance()) {
      values.push('', g.weight([count, batch, hidden]));
      if (operator === 'LSTM') values.push(g.weight([count, batch, hidden]));
    }
    const linearBeforeReset = operator === 'GRU' && g.chance();
    const hasBias = values.length > 3;
    const outputs = operator === 'LSTM' ? 3 : 2;
    const made = g.graph.nodeOf(operator, values, outputs, {
      hidden_size: int(hidden),
      direction: { kind: 'string', value: direction },
      ...(linearBeforeReset ? { linear_before_reset: int(1) } : {}),
    });
    // Any of the outputs may be read alone, as exporters do who read only the last state.
    const read = g.chance() ? made : [g.pick(made)];
    const flat = read.map((output) => g.graph.node('Reshape', [output, g.integers([-1])]));
    const state = count * batch * hidden;
    const total = read.reduce((sum, output) => sum + (output === made[0] ? steps * state : state), 0);
    return {
      value: g.graph.node('Concat', flat, { axis: int(0) }),
      dims: [total],
      reference: ([x, w, r, ...rest]) => {
        const [b, h0, c0] = hasBias ? rest : [undefined, ...rest];
        const shape = { operator, steps, batch, inputs, hidden, direction, linearBeforeReset };
        const made64 = referenceRecurrent(shape, { x: x!, w: w!, r: r!, b, h0, c0 });
        return Float64Array.from(read.flatMap((output) => [...made64[made.indexOf(output)]!]));
      },
    };
  };

/** Cases of the recurrent layers. */
export const recurrentCases = { GRU: recurrent('GRU'), LSTM: recurrent('LSTM') } as const;
