import { readFileSync } from 'node:fs';
import * as ort from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { checkManifestFits } from '../manifest/check-model.ts';
import { parseManifest } from '../manifest/parse-manifest.ts';
import { inspectModel } from '../onnx/inspect.ts';
import { manifestOf, record } from '../testing/manifests.ts';
import type { AttributeValue } from '../value.ts';
import { eventList } from './event-list.ts';
import { compileFeaturePlan, type FeatureInput, type FeatureRows } from './feature-plan.ts';
import { FEATURE_STATUS_NAMES } from './feature-status.ts';
import type { HistoryEvent } from './history.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);
type Features = NonNullable<Parameters<typeof manifestOf>[0]['features']>;

const floats = ({ features }: FeatureRows): number[] => [
  ...new Float32Array(features.buffer, features.byteOffset, features.byteLength / 4),
];
const statuses = (rows: FeatureRows) => [...rows.statuses].map((code) => FEATURE_STATUS_NAMES[code]);

function run(features: Features, request: Record<string, AttributeValue>, history: HistoryEvent[][] = []) {
  const plan = compileFeaturePlan(manifestOf({ features }));
  return plan.run(
    { request: record(request), entities: record({ user: 'u' }), candidates: [] },
    history.map(eventList),
    NOW_MS,
  );
}

const event = (agoMs: number, fields: Record<string, AttributeValue>): HistoryEvent => ({
  id: `e${agoMs}`,
  atMs: NOW_MS - agoMs,
  fields: record(fields),
});

describe('kinds of features', () => {
  it('count only events for which `where` is true; one on which it cannot be evaluated does not count', () => {
    const from = 'history.user.buy.count';
    const rows = run(
      [
        { name: 'all', from },
        { name: 'big', from, where: 'event.price > 10.0' },
        { name: 'recent', from, where: 'event.price > 10.0', window: '1h' },
        { name: 'kinds', from: 'history.user.buy.distinct(kind)' },
        { name: 'least', from: 'history.user.buy.min(price)' },
      ],
      {},
      [
        [
          event(1000, { price: 20, kind: 'a' }),
          event(2000, { price: 5, kind: 'b' }),
          event(3000, { kind: 'a' }),
          event(7_200_000, { price: 99 }),
        ],
      ],
    );
    expect(floats(rows)).toEqual([4, 2, 1, 2, 5]);
  });

  it('divide and cross other features, including hidden ones', () => {
    const rows = run(
      [
        { name: 'buys', from: 'request.buys', hidden: true },
        { name: 'views', from: 'request.views' },
        { name: 'rate', from: 'ratio(buys, views)', missing: -1 },
        { name: 'month', from: 'request.month', hidden: true, transform: [{ one_hot: ['Jan'] }] },
        { name: 'both', from: 'cross(month, views)', transform: [{ one_hot: ['Jan|4', 'Feb|4'] }] },
      ],
      { buys: 1, views: 4, month: 'Jan' },
    );
    expect(floats(rows)).toEqual([4, 0.25, 1, 0]);
    const never = run(
      [
        { name: 'buys', from: 'request.buys', hidden: true },
        { name: 'rate', from: 'ratio(buys, buys)', missing: -1 },
      ],
      { buys: 0 },
    );
    expect([floats(never), statuses(never)]).toEqual([[-1], ['FRESH', 'MISSING']]);
  });

  it('look up an uploaded table by the id of an entity, and report when it is too old', () => {
    const plan = compileFeaturePlan(
      manifestOf({
        features: [
          { name: 'age', from: 'reference.customers.age', by: 'user', max_age: '1d', missing: -1 },
          { name: 'city', from: 'reference.customers.city', by: 'user', transform: [{ one_hot: ['Rome'] }] },
        ],
      }),
    );
    const input: FeatureInput = { request: record({}), entities: record({ user: 'u7' }), candidates: [] };
    expect(plan.references(input)).toEqual([{ table: 'customers', key: 'u7' }]);
    const row = { fields: record<AttributeValue>({ age: 30, city: 'Rome' }), atMs: NOW_MS };
    expect(floats(plan.run(input, [], NOW_MS, [row]))).toEqual([30, 1]);
    const old = { ...row, atMs: NOW_MS - 2 * 86_400_000 };
    expect(statuses(plan.run(input, [], NOW_MS, [old]))).toEqual(['STALE', 'FRESH']);
    expect(() => plan.run(input, [], NOW_MS, null)).toThrow(/city.*reference.*try again/);
  });

  it('turn lists, times and ids into numbers', () => {
    const rows = run(
      [
        { name: 'genres', from: 'request.genres', transform: [{ multi_hot: ['Action', 'Drama', 'War'] }] },
        {
          name: 'hour',
          from: 'request.at',
          transform: [{ time: { part: 'hour', zone: 'Europe/Berlin' } }],
        },
        { name: 'weekday', from: 'request.at', transform: [{ time: { part: 'weekday' } }] },
        { name: 'month', from: 'request.ms', type: 'number', transform: [{ time: { part: 'month' } }] },
        { name: 'turn', from: 'request.at', transform: [{ time: { part: 'hour', as: 'cyclic' } }] },
      ],
      { genres: ['War', 'Action', 'Unknown'], at: '2026-01-15T12:00:00Z', ms: NOW_MS },
    );
    expect(floats(rows).map((value) => Math.round(value * 1e6) / 1e6 + 0)).toEqual([
      1, 0, 1, 13, 3, 1, 0, -1,
    ]);
    expect(() =>
      run([{ name: 'at', from: 'request.at', transform: [{ time: { part: 'hour' } }] }], { at: 'noon' }),
    ).toThrow(/at.*noon/);
  });

  it('take NaN for a missing value where the manifest says so, from null and from NaN', () => {
    const features: Features = [
      { name: 'a', from: 'request.a', missing: Number.NaN },
      { name: 'b', from: 'request.b', missing: Number.NaN, transform: ['log1p'] },
    ];
    const rows = run(features, { b: Number.NaN });
    expect([floats(rows), statuses(rows)]).toEqual([
      [Number.NaN, Number.NaN],
      ['MISSING', 'MISSING'],
    ]);
  });

  it('treat values outside range or allowed as declared', () => {
    const of = (outside: 'clip' | 'default' | 'keep' | 'reject') =>
      run([{ name: 'x', from: 'request.x', range: [0, 10], missing: 5, quality: { outside } }], { x: 12 });
    expect([floats(of('clip')), statuses(of('clip'))]).toEqual([[10], ['CLIPPED']]);
    expect([floats(of('default')), statuses(of('default'))]).toEqual([[5], ['DEFAULTED']]);
    expect([floats(of('keep')), statuses(of('keep'))]).toEqual([[12], ['OUT_OF_RANGE']]);
    expect(() => of('reject')).toThrow(/x.*\[0, 10\].*12/);
    const kind: Features = [
      { name: 'k', from: 'request.k', allowed: ['a', 'b'], transform: [{ one_hot: ['a', 'b'] }] },
    ];
    expect(floats(run(kind, { k: 'b' }))).toEqual([0, 1]);
    expect(() => run(kind, { k: 'z' })).toThrow(/k.*one of a, b.*"z"/);
  });
});

describe('features for several inputs', () => {
  const MIXED = `
name: mixed
features:
  - {name: age, from: request.age, input: age}
  - {name: city, from: request.city, type: text, input: city}
  - {name: plan, from: request.plan, type: text, input: plan}
`;
  const file = (name: string) => readFileSync(new URL(`../testing/cases/${name}`, import.meta.url));

  it('feed a scikit-learn pipeline with one input per column', async () => {
    const manifest = parseManifest(MIXED);
    const onnx = file('mixed-columns.onnx');
    checkManifestFits(manifest, inspectModel(onnx));
    const rows = compileFeaturePlan(manifest).run(
      {
        request: record<AttributeValue>({ age: 30, city: 'Rome', plan: 'pro' }),
        entities: record({}),
        candidates: [],
      },
      [],
      NOW_MS,
    );
    expect(rows.columns).toBe(0);
    expect(rows.tensors.map(({ name, datatype, shape }) => [name, datatype, shape])).toEqual([
      ['age', 'FP32', [1, 1]],
      ['city', 'BYTES', [1, 1]],
      ['plan', 'BYTES', [1, 1]],
    ]);
    const session = await ort.InferenceSession.create(onnx);
    const feeds = Object.fromEntries(
      rows.tensors.map(({ name, datatype, shape, contents }) => [
        name,
        datatype === 'FP32'
          ? new ort.Tensor('float32', new Float32Array(Uint8Array.from(contents).buffer), [...shape])
          : new ort.Tensor('string', [Buffer.from(contents.subarray(4)).toString()], [...shape]),
      ]),
    );
    const output = (await session.run(feeds)).probabilities?.data as Float32Array;
    expect(output[0]).toBeCloseTo(0.99362, 5);
    expect(output[1]).toBeCloseTo(0.00638, 5);
  });

  it('are checked against the type and shape of each input', () => {
    const model = inspectModel(file('mixed-columns.onnx'));
    const fits = (yaml: string) => () => checkManifestFits(parseManifest(yaml), model);
    expect(fits(MIXED.replace('input: plan', 'input: city'))).toThrow(
      /"city" takes \[\?, 1\], but its features make|no feature feeds "plan"/,
    );
    expect(fits(MIXED.replace('input: age', 'input: years'))).toThrow(/no input "years".*"age"/);
    expect(fits(MIXED.replace('input: age', 'input: age, dtype: int64'))).toThrow(/age.*float32.*set dtype/);
    expect(fits(MIXED.replace(', input: age', ''))).toThrow(/age.*name the one it feeds/);
  });

  it('give a decision tree NaN for missing values', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const manifest = parseManifest(
      `name: tree\nfeatures:\n${names.map((name) => `  - {name: ${name}, from: request.${name}, missing: .nan}\n`).join('')}`,
    );
    expect(parseManifest(`name: tree\nfeatures: ${JSON.stringify(manifest.features)}`).features).toEqual(
      manifest.features,
    );
    const rows = compileFeaturePlan(manifest).run(
      { request: record({}), entities: record({}), candidates: [] },
      [],
      NOW_MS,
    );
    const session = await ort.InferenceSession.create(file('tree-with-nan.onnx'));
    const input = new ort.Tensor('float32', Float32Array.from(floats(rows)), [1, 4]);
    const outputs = await session.run({ [session.inputNames[0] ?? '']: input });
    const scores = Object.values(outputs).find(({ type }) => type === 'float32')?.data as Float32Array;
    expect(scores[0]).toBeCloseTo(0.65967, 5);
    expect(scores[1]).toBeCloseTo(0.34033, 5);
  });

  it('pass ids as int64 and flags as bool, with all features of one input side by side', () => {
    const plan = compileFeaturePlan(
      manifestOf({
        task: 'ranking',
        features: [
          { name: 'user', from: 'entity.user', input: 'ids', transform: [{ id: { buckets: 1000 } }] },
          { name: 'kind', from: 'item.kind', input: 'ids', transform: [{ id: { values: ['a', 'b'] } }] },
          { name: 'new', from: 'item.new', type: 'flag', input: 'flags', dtype: 'bool' },
          { name: 'price', from: 'item.price', input: 'dense' },
        ],
      }),
    );
    const item = (id: string, kind: string, fresh: boolean) => ({
      id,
      attributes: record<AttributeValue>({ kind, new: fresh, price: 2 }),
    });
    const { tensors } = plan.run(
      {
        request: record({}),
        entities: record({ user: 'u' }),
        candidates: [item('x', 'b', true), item('y', 'z', false)],
      },
      [],
      NOW_MS,
    );
    const [ids, flags] = tensors;
    const numbers = new BigInt64Array(Uint8Array.from(ids?.contents ?? []).buffer);
    expect(numbers[0]).toBe(numbers[2]);
    expect([numbers[1], numbers[3]]).toEqual([2n, 0n]);
    expect(ids?.shape).toEqual([2, 2]);
    expect([...(flags?.contents ?? [])]).toEqual([1, 0]);
  });
});
