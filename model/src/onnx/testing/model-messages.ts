import { encodeMessage } from '../wire.ts';

// Parts of ONNX files in wire form, valid and broken ones.

export const float = {
  tensor_type: { elem_type: 1, shape: { dim: [{ dim_param: 'N' }, { dim_value: 2 }] } },
};
export const raw = (count: number) => new Uint8Array(new Float32Array(count).fill(0.5).buffer);
export const external = { data_location: 1, external_data: [{ key: 'location', value: '../weights.bin' }] };
export const weight = { name: 'w', dims: [2, 2], data_type: 1, raw_data: raw(4) };
export const product = { name: 'product', op_type: 'MatMul', input: ['x', 'w'], output: ['y'] };

/** x float[N, 2] times w gives y: a valid model, with parts of the graph or the model replaced. */
export function model(graph: object = {}, rest: object = {}): Uint8Array {
  return encodeMessage({
    ir_version: 8,
    opset_import: [{ domain: '', version: 17 }],
    graph: {
      name: 'g',
      input: [{ name: 'x', type: float }],
      output: [{ name: 'y', type: float }],
      initializer: [weight],
      node: [product],
      ...graph,
    },
    ...rest,
  });
}

export const node = (op_type: string, input: string[], output: string[], rest: object = {}) => ({
  op_type,
  input,
  output,
  ...rest,
});
export const constant = (t: object) =>
  node('Constant', [], ['c'], { attribute: [{ name: 'value', type: 4, t }] });
/** A node whose subgraph contains the given parts. */
export const branching = (graph: object) =>
  node('If', ['x'], ['z'], {
    attribute: [
      {
        name: 'then_branch',
        type: 5,
        g: { node: [node('Identity', ['x'], ['t'])], output: [{ name: 't' }], ...graph },
      },
    ],
  });
