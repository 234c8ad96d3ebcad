import { type Attributes, GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import type { OnnxModel } from '@hotloop/model/onnx/model.ts';
import { float32Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { Trainable } from '@hotloop/model/training/training-settings.ts';
import { describe, expect, it } from 'vitest';
import { checkGradient } from './testing/check-gradient.ts';
import { writeTrainingGraph } from './write-training-graph.ts';

const loss = 'mean_squared_error';

function model(write: (graph: GraphBuilder) => string): OnnxModel {
  const graph = new GraphBuilder('m/');
  graph.node('Identity', [write(graph)], {}, { outputs: ['out'] });
  graph.output('out', 'float32', null);
  return graph.build('m');
}

/** input [N, 2] -> three layers of weights w1, b1, w2, b2, w3 */
function layered(): OnnxModel {
  return model((graph) => {
    const input = graph.input('input', 'float32', ['N', 2]);
    const weight = (name: string, dims: number[]) =>
      graph.initializer(name, float32Tensor(new Float32Array(dims.reduce((a, b) => a * b)).fill(0.5), dims));
    const first = graph.node('Relu', [graph.node('Gemm', [input, weight('w1', [2, 3]), weight('b1', [3])])]);
    const second = graph.node('Add', [
      graph.node('MatMul', [first, weight('w2', [3, 2])]),
      weight('b2', [2]),
    ]);
    return graph.node('MatMul', [graph.node('Tanh', [second]), weight('w3', [2, 1])]);
  });
}

function trained(trainable: Trainable): string[] {
  return writeTrainingGraph(layered(), { loss, until: 'gradient', trainable }).parameters.map(
    ({ name }) => name,
  );
}

describe('differentiate', () => {
  it('adds up the gradients of a value that is read more than once', async () => {
    const found = await checkGradient(
      model((graph) => {
        const w = graph.initializer('w', float32Tensor([0.3, -0.7, 1.1]));
        const squared = graph.node('Mul', [w, w]);
        return graph.node('Add', [graph.node('Tanh', [squared]), graph.node('Sub', [squared, w])]);
      }),
      { loss, labels: [0.1, 0.2, 0.3] },
    );
    expect(found.worst).toBeLessThan(1e-7);
  });

  it.each<[string, Attributes, string]>([
    ['Sin', {}, "cannot train through node 'odd' of type 'Sin'"],
    ['CumSum', {}, "cannot train through node 'odd' of type 'CumSum'"],
  ])('refuses an operator without a rule on the path: %s', (operator, attributes, message) => {
    const write = () =>
      writeTrainingGraph(
        model((graph) => {
          const w = graph.initializer('w', float32Tensor([1, 2]));
          return graph.node(operator, [w], attributes, { name: 'odd' });
        }),
        { loss, until: 'gradient' },
      );
    expect(write).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) }),
    );
  });

  it('refuses a subgraph that reads a trained weight from outside', () => {
    const branch = new GraphBuilder('branch/');
    branch.node('Identity', ['w'], {}, { outputs: ['chosen'] });
    branch.output('chosen', 'float32', null);
    const attribute = { kind: 'graph', value: branch.build('branch').graph } as const;
    const write = () =>
      writeTrainingGraph(
        model((graph) => {
          graph.input('flag', 'bool', []);
          const w = graph.initializer('w', float32Tensor([1]));
          const attributes = { then_branch: attribute, else_branch: attribute };
          return graph.node('Add', [graph.node('If', ['flag'], attributes, { name: 'choice' }), w]);
        }),
        { loss, until: 'gradient' },
      );
    expect(write).toThrow("cannot train through node 'choice' of type 'If'");
  });

  it('accepts operators without a gradient that are not on the path', async () => {
    const found = await checkGradient(
      model((graph) => {
        const w = graph.initializer('w', float32Tensor([0.5, -0.2]));
        const x = graph.constant('x', float32Tensor([1, 2]));
        return graph.node('Mul', [w, graph.node('Cast', [graph.node('IsNaN', [x])], { to: int(1) })]);
      }),
      { loss, labels: [1, 2], trainable: ['w'] },
    );
    expect(found.worst).toBeLessThan(1e-7);
  });

  it('refuses an operator set that is older than its rules', () => {
    const old = { ...layered(), opsets: new Map([['', 11]]) };
    expect(() => writeTrainingGraph(old, { loss, until: 'loss' })).toThrow('operator set 13 or newer');
  });

  it('writes the same bytes for the same model', () => {
    const write = () => writeTrainingGraph(layered(), { loss, until: { kind: 'adam' } }).bytes;
    expect(Buffer.from(write()).equals(Buffer.from(write()))).toBe(true);
  });
});

describe('the choice of weights', () => {
  it('includes all that reach the output', () => {
    expect(trained('all')).toEqual(['w1', 'b1', 'w2', 'b2', 'w3']);
  });

  it('includes the named ones', () => {
    expect(trained(['b2', 'w1'])).toEqual(['w1', 'b2']);
  });

  it('includes the last layers, a layer being a matrix product and what follows it', () => {
    expect(trained({ last: 1 })).toEqual(['w3']);
    expect(trained({ last: 2 })).toEqual(['w2', 'b2', 'w3']);
    expect(trained({ last: 9 })).toEqual(['w1', 'b1', 'w2', 'b2', 'w3']);
  });

  it('refuses an unknown name, and lists the known ones', () => {
    expect(() => trained(['w1', 'wrong'])).toThrow(/names 'wrong'.*'w1', 'b1'/);
  });

  it('writes no gradient before the first trained weight', () => {
    const all = writeTrainingGraph(layered(), { loss, until: 'gradient' }).bytes.length;
    const last = writeTrainingGraph(layered(), { loss, until: 'gradient', trainable: { last: 1 } }).bytes
      .length;
    expect(last).toBeLessThan(all);
  });

  it('excludes constants that only configure an operator', () => {
    const graph = model((builder) => {
      const w = builder.initializer('w', float32Tensor([1, 2]));
      const bound = builder.initializer('bound', float32Tensor([0], []));
      const exponent = builder.initializer('exponent', float32Tensor([2], []));
      return builder.node('Pow', [builder.node('Clip', [w, bound]), exponent]);
    });
    const names = writeTrainingGraph(graph, { loss, until: 'gradient' }).parameters.map(({ name }) => name);
    expect(names).toEqual(['w']);
  });
});
