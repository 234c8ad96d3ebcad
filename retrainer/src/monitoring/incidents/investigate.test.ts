import { expect, it } from 'vitest';
import type { Trainer } from '../../improve/trainer.ts';
import {
  eventually,
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../../testing/fixture.ts';
import { allCells } from '../../training/feature-cells.ts';
import type { Signal } from '../signals/signal.ts';
import { findOnset } from './find-onset.ts';
import { groupSignals } from './incident.ts';
import { Investigator } from './investigate.ts';

const MINUTE = 60_000;
const GOOD = 400;
const BROKEN = 150;

const signal: Signal = {
  ...{ kind: 'out_of_range', feature: 'x', source: 'request.x', effect: 0.4, low: 0.3, high: 0.5 },
  ...{
    unit: 'share',
    threshold: 0.01,
    p: 1e-20,
    n: 550,
    severity: 'critical',
    message: 'x lies outside its range',
  },
};

/** A model in its first ten minutes: all its rows lie in the judged window, and all have labels. */
async function newModel(stores: Stores, now: number, factor: number) {
  await push(stores, manifestText('m'), linearModel());
  await makeLive(stores, 'm', 1);
  const xOf = (row: number) => Math.sin(row) * 2;
  const brokenAt = now - 2 * MINUTE;
  const rows = Array.from({ length: GOOD + BROKEN }, (_v, row) => ({
    model: 'm',
    at: row < GOOD ? now - 5 * MINUTE + row * 200 : brokenAt + (row - GOOD) * 100,
    features: [xOf(row) * (row < GOOD ? 1 : factor), 0],
  }));
  const ids = await logPredictions(stores.pool, rows);
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
     SELECT 'o' || id, 'm', 'test', 'label', id, to_jsonb(label), now()
     FROM unnest($1::uuid[], $2::integer[]) AS one (id, label)`,
    [ids, ids.map((_id, row) => (xOf(row) > 0 ? 1 : 0))],
  );
  await stores.pool.query(`UPDATE prediction SET statuses = '\\x0000'::bytea`);
  const record = stores.registry.current().models.get('m')!.versions.get(1)!;
  const score = async ({ dataset }: { dataset: Parameters<typeof allCells>[0] }) => {
    const cells = allCells(dataset);
    const values = Float32Array.from(
      { length: dataset.rows },
      (_v, row) => 1 / (1 + Math.exp(-cells[row * 2]!)),
    );
    return [{ rowShape: [1], columns: 1, values }];
  };
  const investigation = new Investigator({ ...stores, score }).of(
    ...([record, now - 10 * MINUTE, now, new AbortController().signal] as const),
  );
  return { ids, record, brokenAt, investigation, draft: groupSignals('m', [signal])[0]! };
}

it('prices a break by labelled rows from before it, also when all rows lie in one window', async () => {
  await using stores = await openStores();
  const now = Date.now();
  const { ids, brokenAt, investigation, draft } = await newModel(stores, now, 1000);
  const cost = await investigation.costOf(draft);
  expect(cost).toMatchObject({ metric: 'auc', known: true });
  expect(cost!.method).toBe(`${GOOD} labelled rows scored again with these values`);
  // Without the relation to the row, the scores of a model that was always right are worth nothing.
  expect(cost!.loss).toBeGreaterThan(0.4);
  const { beganAt, examples } = await investigation.evidenceOf(draft);
  expect(beganAt).toBe(brokenAt);
  expect(ids.slice(GOOD)).toEqual(expect.arrayContaining([...examples!]));
});

it('finds no beginning where nothing changed, and then says why there is no cost', async () => {
  await using stores = await openStores();
  const now = Date.now();
  const { record, investigation, draft } = await newModel(stores, now, 1);
  const since = now - 10 * MINUTE;
  expect(await findOnset(stores.pool, { record, features: ['x'], since, now })).toBeNull();
  expect(await investigation.costOf(draft)).toMatchObject({
    known: false,
    method: 'only 0 labelled rows from before it; 100 are needed',
  });
});

it('tells of an incident whose cost takes long, and has the cost once it is there', async () => {
  await using stores = await openStores();
  const now = Date.now();
  const { record, draft } = await newModel(stores, now, 1000);
  const held = Promise.withResolvers<void>();
  let scored = 0;
  const score: Trainer['score'] = async ({ dataset }) => {
    scored++;
    await held.promise;
    return [{ rowShape: [1], columns: 1, values: allCells(dataset).filter((_cell, at) => at % 2 === 0) }];
  };
  const investigator = new Investigator({ ...stores, score }, 1);
  const at = (moment: number) =>
    investigator.of(record, now - 10 * MINUTE, moment, new AbortController().signal).costOf(draft);
  expect(await at(now)).toMatchObject({ known: false, method: 'it is still being estimated' });
  expect(await at(now + 10_000)).toMatchObject({ known: false });
  held.resolve();
  await eventually(async () => (await at(now + 20_000))?.known === true);
  // One estimate of the values before and after, however often it was asked for.
  expect(scored).toBe(2);
});
