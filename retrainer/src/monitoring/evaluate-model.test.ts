import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import {
  addEventShapes,
  SHAPE_SPAN_MS,
  type ShapeKind,
} from '@hotloop/platform/postgres/event-shape-store.ts';
import { transaction } from '@hotloop/platform/postgres/pool.ts';
import { expect, it } from 'vitest';
import {
  eventually,
  linearModel,
  logPredictions,
  makeLive,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { collectLoggedRows } from './collect.ts';
import { evaluateDay } from './evaluate-model.ts';
import { evaluateSources } from './evaluate-sources.ts';
import { keepBaseline } from './keep-baseline.ts';
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
  // Those of the plan pro spend a deviation more; one in five has it, so all together hardly show it.
  const rows = Array.from({ length: 300 }, (_v, row) => {
    const isPro = row % 5 === 0;
    const spent = training.features[(row * 2 + 1) * 3]! + (isPro ? 1 : 0);
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

it('summarises features that feed several inputs, texts by which there are', async () => {
  await using stores = await openStores();
  const { pool } = stores;
  const manifest = parseManifest(`name: m
task: binary
features:
  - {name: price, from: request.price, input: wide}
  - {name: shop, from: request.shop, transform: [{id: {values: [north, south]}}], input: shop_id}
  - {name: note, from: request.note, dtype: string, input: note}
`);
  const record = { model: 'm', version: 1, manifest, bundleSha256: '', sourceUrl: null };
  const registry = {
    ...stores.registry,
    current: () => ({ models: new Map([['m', { name: 'm', versions: new Map([[1, record]]) }]]) }),
  } as unknown as Stores['registry'];
  const spec = [
    { name: 'wide', datatype: 'FP32', shape: [1, 1] },
    { name: 'shop_id', datatype: 'INT64', shape: [1, 1] },
    { name: 'note', datatype: 'BYTES', shape: [1, 1] },
  ];
  const now = Date.now();
  const ids = await logPredictions(
    pool,
    Array.from({ length: 60 }, (_v, row) => ({ model: 'm', at: now - HOUR + row, features: [0, 0] })),
  );
  for (const [row, id] of ids.entries()) {
    const note = ['red', 'blue', 'green'][row % 3]!;
    const bytes = Buffer.alloc(4 + 8 + 4 + note.length);
    bytes.writeFloatLE(row, 0);
    bytes.writeBigInt64LE(BigInt(row % 2), 4);
    bytes.writeUInt32LE(note.length, 12);
    bytes.write(note, 16);
    await pool.query(
      'UPDATE prediction SET features = $2, input_spec = $3, "columns" = 0, "rows" = 1 WHERE prediction_id = $1',
      [id, bytes, JSON.stringify(spec)],
    );
  }
  await eventually(async () => {
    await collectLoggedRows(pool, registry, now);
    return (await readCalls(pool, 'm', 'minute', 0, now + 1)).reduce((sum, one) => sum + one.calls, 0) >= 60;
  });
  const query = { model: 'm', span: SPANS.hour, since: 0, until: now + 1 };
  const sketches = await readSketches(pool, query);
  expect(sketches.get('price')!.values).toMatchObject({ count: 60, min: 0, max: 59 });
  expect(sketches.get('shop')!.values.mean).toBeCloseTo(0.5, 6);
  expect(Math.round(sketches.get('note')!.values.distinct.estimate())).toBe(3);
  const baseline = { rows: 3, columns: 3, features: Float32Array.from([0, 0, 0, 5, 1, 1, 9, 0, 2]) };
  await transaction(pool, (client) =>
    keepBaseline(client, manifest, 1, { ...baseline, texts: ['red', 'blue', 'green'] }),
  );
  const kept = await readBaseline(pool, 'm', 1);
  const hashes = (sketch: FeatureSketch) => [...sketch.values.bins.keys()].sort((a, b) => a - b);
  expect(hashes(kept!.sketches.get('note')!)).toEqual(hashes(sketches.get('note')!));
});
