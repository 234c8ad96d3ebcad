import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { record as recordOf } from '@hotloop/model/testing/manifests.ts';
import {
  addEventShapes,
  SHAPE_SPAN_MS,
  type ShapeKind,
} from '@hotloop/platform/postgres/event-shape-store.ts';
import { transaction } from '@hotloop/platform/postgres/pool.ts';
import { expect, it } from 'vitest';
import type { Trainer } from '../improve/trainer.ts';
import {
  eventually,
  linearModel,
  logPredictions,
  makeLive,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { allCells } from '../training/feature-cells.ts';
import { collectLoggedRows } from './collect.ts';
import { evaluateDay } from './evaluate-model.ts';
import { evaluateSources } from './evaluate-sources.ts';
import { groupSignals } from './incidents/incident.ts';
import { Investigator } from './incidents/investigate.ts';
import { keepBaseline } from './keep-baseline.ts';
import { evaluateQuality } from './performance/evaluate-quality.ts';
import { listQuality } from './performance/quality-store.ts';
import { evaluateDomain } from './signals/evaluate-domain.ts';
import { readCalls } from './sketches/call-store.ts';
import type { FeatureSketch } from './sketches/feature-sketch.ts';
import { readBaseline, readSketches, SPANS } from './sketches/sketch-store.ts';
import { trainingRows } from './testing/training-rows.ts';

const MANIFEST = `name: m
task: binary
features:
  - {name: spent, from: history.user.buy.sum(price), window: 7d, missing: 0}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
monitor: {slices: [plan], drift: {min_rows: 50}}
`;
const HOUR = 3_600_000;

async function collected(stores: Stores, calls: number, now: number): Promise<void> {
  await eventually(async () => {
    await collectLoggedRows(stores.pool, stores.registry, now);
    const minutes = await readCalls(stores.pool, 'm', 'minute', 0, now + 1);
    return minutes.reduce((sum, one) => sum + one.calls, 0) >= calls;
  });
}

it('finds what is wrong in one slice, in all features together, and at the source', async () => {
  await using stores = await openStores();
  await push(stores, MANIFEST, linearModel(1, 3));
  await makeLive(stores, 'm', 1);
  const live = stores.registry.current().models.get('m')!.versions.get(1)!;
  const training = trainingRows(1_000);
  await transaction(stores.pool, (client) => keepBaseline(client, live.manifest, 1, training));
  const now = Date.now();
  await transaction(stores.pool, (client) => keepBaseline(client, live.manifest, 2, training));
  // Customers of plan pro spend one standard deviation more. They are one in five, so all rows together hardly show it.
  const rows = Array.from({ length: 300 }, (_v, row) => {
    const isPro = row % 5 === 0;
    const spent = allCells(training)[(row * 2 + 1) * 3]! + (isPro ? 1 : 0);
    return {
      model: 'm',
      at: now - 2 * HOUR + row,
      columns: 3,
      features: [spent, isPro ? 0 : 1, isPro ? 1 : 0],
    };
  });
  const shifted = rows.slice(0, 150).map((row) => ({
    ...{ ...row, version: 2 },
    features: row.features.map((value, column) => (column === 0 ? value + 3 : value)),
  }));
  await logPredictions(stores.pool, [...rows, ...shifted]);
  await collected(stores, rows.length + shifted.length, now);
  const { signals } = await evaluateDay(stores.pool, live, now);
  expect(signals).toContainEqual(
    expect.objectContaining({ kind: 'drift', feature: 'spent', slice: 'plan = pro' }),
  );
  expect(signals.some(({ slice }) => slice === 'plan = free')).toBe(false);
  const [domain] = await evaluateDomain(stores.pool, { manifest: live.manifest, version: 2, now });
  expect(domain).toMatchObject({ kind: 'domain_drift' });
  expect(domain!.message).toMatch(/mostly by spent \d+ %/);

  const span = (at: number, field: string, kind: ShapeKind) => ({
    ...{ topic: 'shop', event: 'buy', field, kind, messages: 200, firstPartition: 0 },
    at: Math.floor(at / SHAPE_SPAN_MS) * SHAPE_SPAN_MS,
    ...{ firstOffset: at === now ? '4711' : '1', firstAt: at, lastAt: at, earlier: 0 },
  });
  await addEventShapes(stores.pool, [
    ...[now - 2 * HOUR, now].map((at) => span(at, '', 'message')),
    ...[span(now - 2 * HOUR, 'price', 'number'), span(now, 'price', 'text')],
  ]);
  expect(await evaluateSources(stores.pool, live, now)).toMatchObject([
    { kind: 'schema', feature: 'spent', producer: { topic: 'shop', field: 'price', firstOffset: '4711' } },
  ]);
});

it('watches a model of several inputs: each feature, all together, quality by slice, and what a break costs', async () => {
  await using stores = await openStores();
  const { pool } = stores;
  const manifest = parseManifest(`name: m
task: binary
features:
  - {name: price, from: request.price, input: wide}
  - {name: shop, from: request.shop, transform: [{id: {values: [north, south]}}], input: shop_id}
  - {name: note, from: request.note, dtype: string, input: note}
monitor: {slices: [shop, note], drift: {min_rows: 50}}
`);
  await pool.query(`INSERT INTO model (name) VALUES ('m')`);
  await pool.query(
    `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ('m', 1, '', '', $1)`,
    [JSON.stringify(manifest)],
  );
  const record = {
    ...{ model: 'm', version: 1, manifest, bundleSha256: '', sourceUrl: null },
    ...{ onnxSha256: '', parentVersion: null },
  };
  const registry = {
    ...stores.registry,
    current: () => ({ models: new Map([['m', { name: 'm', versions: new Map([[1, record]]) }]]) }),
  } as unknown as Stores['registry'];
  const now = Date.now();
  const plan = compileFeaturePlan(manifest);
  // Price and shop are as in training; of the three notes one is left, and the label goes by the note.
  const requests = Array.from({ length: ROWS }, (_v, row) => ({
    price: row % 60,
    shop: row % 2 === 0 ? 'north' : 'south',
    note: row < ROWS / 2 && row % 3 === 0 ? 'blue' : 'red',
  }));
  const ids = await logPredictions(
    pool,
    requests.map((request, row) => {
      const input = { request: recordOf(request), entities: {}, candidates: [] };
      return { model: 'm', at: now - HOUR + row, features: [], tensors: plan.run(input, null, 0).tensors };
    }),
  );
  const scores = requests.map(({ note }, row) => (note === 'red' ? 0.6 : 0.2) + (row % 7) / 50);
  await pool.query(
    `WITH one AS (SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::integer[]) AS t (id, outputs, label)), told AS (
       INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
       SELECT 'o' || id, 'm', 'test', 'label', id, to_jsonb(label), now() FROM one)
     UPDATE prediction SET outputs = one.outputs, output_spec = '[{"name":"score","datatype":"FP32","shape":[1,1]}]',
       statuses = '\\x000000'::bytea FROM one WHERE prediction_id = id`,
    [
      ids,
      scores.map((score) => `\\x${Buffer.from(Float32Array.of(score).buffer).toString('hex')}`),
      requests.map(({ note }, row) => ((row % 5 === 0) === (note === 'red') ? 0 : 1)),
    ],
  );
  await eventually(async () => {
    await collectLoggedRows(pool, registry, now);
    const minutes = await readCalls(pool, 'm', 'minute', 0, now + 1);
    return minutes.reduce((sum, one) => sum + one.calls, 0) >= ROWS;
  });
  const query = { model: 'm', span: SPANS.hour, since: 0, until: now + 1 };
  const sketches = await readSketches(pool, query);
  expect(sketches.get('price')!.values).toMatchObject({ count: ROWS, min: 0, max: 59 });
  expect(sketches.get('shop')!.values.mean).toBeCloseTo(1.5, 6);
  expect(Math.round(sketches.get('note')!.values.distinct.estimate())).toBe(2);

  const trained = Array.from({ length: ROWS }, (_v, row) => [row % 60, 1 + (row % 2), row % 3]);
  await transaction(pool, (client) =>
    keepBaseline(client, manifest, 1, {
      ...{ rows: ROWS, columns: 3, features: Float32Array.from(trained.flat()) },
      texts: ['red', 'blue', 'green'],
    }),
  );
  const kept = await readBaseline(pool, 'm', 1);
  const hashes = (sketch: FeatureSketch) => [...sketch.values.bins.keys()];
  expect(hashes(kept!.sketches.get('note')!)).toEqual(expect.arrayContaining(hashes(sketches.get('note')!)));
  const question = { manifest, version: 1, now };
  const [domain] = await evaluateDomain(pool, question);
  expect(domain!.message).toMatch(/mostly by note \d+ %, /);

  await evaluateQuality(pool, question);
  const slices = await listQuality(pool, 'm', 0, 'slices');
  expect(slices.map(({ slice, labelled }) => [slice, labelled]).sort()).toEqual([
    ['note = blue', ROWS / 6],
    ['note = red', (ROWS * 5) / 6],
    ['shop = 1', ROWS / 2],
    ['shop = 2', ROWS / 2],
  ]);

  const bundles = { get: async () => ({ onnx: new Uint8Array(0) }) } as unknown as Stores['bundles'];
  const score: Trainer['score'] = async ({ dataset }) => {
    const { rows, columns, texts, inputs } = dataset;
    const features = allCells(dataset);
    expect(inputs!.map(({ name }) => name)).toEqual(['wide', 'shop_id', 'note']);
    const values = Float32Array.from({ length: rows }, (_v, row) =>
      texts![features[row * columns + 2]!] === 'red' ? 0.6 : 0.2,
    );
    return [{ rowShape: [1], columns: 1, values }];
  };
  const draft = groupSignals('m', [{ ...domain!, kind: 'drift', feature: 'note', source: 'request.note' }]);
  const never = new AbortController().signal;
  const investigation = new Investigator({ pool, bundles, score }).of(
    record,
    now - HOUR + ROWS / 2,
    now,
    never,
  );
  const cost = await investigation.costOf(draft[0]!);
  expect(cost).toMatchObject({ known: true, metric: 'auc' });
  expect(cost!.loss).toBeGreaterThan(0.05);
});

const ROWS = 360;
