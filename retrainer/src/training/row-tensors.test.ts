import { compileFeaturePlan, type FeatureInput } from '@hotloop/model/features/feature-plan.ts';
import { flatRows, loggedRows, rowInputs, TextTable } from '@hotloop/model/features/flat-rows.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import type { Tensor } from '@hotloop/model/tensor.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bindInputs } from './bind-inputs.ts';
import { rowTensors } from './row-tensors.ts';

const manifest = parseManifest(`name: m
task: ranking
features:
  - {name: price, from: item.price, input: wide}
  - {name: shop, from: request.shop, transform: [{id: {buckets: 1000}}], input: ids}
  - {name: city, from: request.city, type: text, input: city}
  - {name: item, from: item.id, transform: [{id: {buckets: 50000}}], input: ids}
  - {name: open, from: request.open, type: flag, dtype: bool, input: open}
  - {name: visits, from: request.visits, input: wide}
  - {name: exact, from: item.exact, dtype: float64, input: exact}
`);
const layout = columnsOf(manifest);
const inputs = rowInputs(layout, manifest.input);
const declared = [
  { name: 'city', elementType: 'string', shape: ['N', 1] },
  { name: 'wide', elementType: 'float32', shape: ['N', 2] },
  { name: 'ids', elementType: 'int64', shape: ['N', 2] },
  { name: 'open', elementType: 'bool', shape: ['N'] },
  { name: 'exact', elementType: 'float64', shape: null },
];
const number = fc.double({ min: -1e6, max: 1e6, noNaN: true }).map(Math.fround);
const requests: fc.Arbitrary<FeatureInput> = fc
  .record({
    shop: fc.string(),
    city: fc.string(),
    open: fc.boolean(),
    visits: number,
    candidates: fc.array(fc.record({ id: fc.string({ minLength: 1 }), price: number, exact: number }), {
      minLength: 1,
      maxLength: 5,
    }),
  })
  .map(({ candidates, ...request }) => ({
    request: record(request),
    entities: record({}),
    candidates: candidates.map(({ id, price, exact }) => ({ id, attributes: record({ price, exact }) })),
  }));

/** As compute writes them: in the model's order, contents end to end. */
function logged(tensors: readonly Tensor[], rows: number) {
  const inOrder = declared.map(({ name }) => tensors.find((tensor) => tensor.name === name)!);
  return {
    ...{ rows, columns: 0, features: Buffer.concat(inOrder.map(({ contents }) => contents)) },
    input_spec: inOrder.map(({ name, datatype, shape }) => ({ name, datatype, shape })),
  };
}

describe('the rows of a model with several inputs', () => {
  it('are read from log and dataset as the tensors that were served', () => {
    const plan = compileFeaturePlan(manifest);
    fc.assert(
      fc.property(requests, (request) => {
        const served = plan.run(request, null, 0);
        const texts = new TextTable();
        const features = loggedRows(inputs, logged(served.tensors, served.rows), texts)!;
        expect(features).toEqual(flatRows(inputs, served, texts));
        const { rows } = served;
        const zeros = new Float32Array(rows);
        const data = {
          ...{ rows, columns: layout.width, inputs, texts: texts.texts },
          ...{ features, labels: zeros, weights: zeros },
        };
        const back = rowTensors(bindInputs(declared, data), data, [...zeros.keys()]);
        for (const { name, contents, shape } of served.tensors) {
          const tensor = back[name]!;
          expect(tensor.dims).toEqual(name === 'open' ? [rows] : shape);
          if (name === 'city') {
            expect(tensor.data).toEqual(new Array(rows).fill(request.request.city));
            continue;
          }
          const { buffer, byteLength } = tensor.data as Float32Array;
          expect(Buffer.from(buffer, 0, byteLength)).toEqual(Buffer.from(contents));
        }
      }),
      { numRuns: 200 },
    );
  });

  it('are omitted if the log is truncated, hides an input, or contains a number that a dataset would round', () => {
    const attributes = record({ price: 1, exact: 2 });
    const request = record({ shop: 's', city: 'Köln', open: true, visits: 3 });
    const candidates = [{ id: 'a', attributes }];
    const { tensors } = compileFeaturePlan(manifest).run(
      { request, entities: record({}), candidates },
      null,
      0,
    );
    const row = logged(tensors, 1);
    const read = (change: object) => loggedRows(inputs, { ...row, ...change }, new TextTable());
    expect(read({})).toHaveLength(layout.width);
    for (let length = 0; length < row.features.length; length++)
      expect(read({ features: row.features.subarray(0, length) })).toBeNull();
    expect(read({ features: null })).toBeNull();
    expect(
      read({ input_spec: row.input_spec.map((one) => ({ ...one, hidden: one.name === 'ids' })) }),
    ).toBeNull();
    const large = tensors.map((one) =>
      one.name === 'ids'
        ? { ...one, contents: new Uint8Array(BigInt64Array.of(1n, 2n ** 24n + 1n).buffer) }
        : one,
    );
    expect(read(logged(large, 1))).toBeNull();
  });

  it.each([
    ['has no input for some columns', declared.slice(1), "the dataset has columns for input 'city'"],
    [
      'takes another type',
      declared.map((one) => (one.name === 'ids' ? { ...one, elementType: 'int32' } : one)),
      "the dataset has int64 columns for input 'ids'",
    ],
    [
      'takes another width',
      declared.map((one) => (one.name === 'wide' ? { ...one, shape: ['N', 3] } : one)),
      "the dataset has 2 columns for input 'wide'",
    ],
    [
      'has an input that nothing fills',
      [...declared, { name: 'more', elementType: 'float32', shape: ['N', 1] }],
      "the dataset has no columns for input 'more'",
    ],
  ])('refuse a model that %s', (_title, wrong, message) => {
    expect(() => bindInputs(wrong, { columns: layout.width, inputs })).toThrow(message);
  });
});
