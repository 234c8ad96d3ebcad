import { systemClock } from '@hotloop/platform/clock.ts';
import { describe, expect, it } from 'vitest';
import { linearModel, makeLive, manifestText, openStores, push, type Stores } from '../testing/fixture.ts';
import { dueRun, explainTriggers } from './due-run.ts';
import { requestRun } from './request-run.ts';
import { triggerModel, whyNot } from './run-triggers.ts';

const facts = { busy: false, cut: 7, newLabels: 0, lastAt: 1_000 };

describe('whether a run is due', () => {
  it.each([
    ['too few labels', { labels: 10 }, { newLabels: 9 }, null],
    ['enough labels', { labels: 10 }, { newLabels: 10 }, 'labels:7:1'],
    ['many more labels', { labels: 10 }, { newLabels: 25 }, 'labels:7:2'],
    ['too early', { every: '1s' }, {}, null],
    ['late enough', { every: '500ms' }, {}, 'every:1000'],
    ['either', { labels: 10, every: '500ms' }, { newLabels: 3 }, 'every:1000'],
    ['a run at work', { labels: 1, every: '1ms' }, { busy: true, newLabels: 50 }, null],
    ['no trigger', {}, { newLabels: 50 }, null],
    ['a cooldown', { labels: 1, cooldown: '1s' }, { newLabels: 50 }, null],
    ['a spent budget', { labels: 1, per_day: 2 }, { newLabels: 50, runsToday: 2 }, null],
    ['decay that was measured', { decay: true }, { newLabels: 1, decay: 'i' }, 'decay:i:7'],
    ['decay without new labels', { decay: true }, { decay: 'i' }, null],
    ['drift that costs', { drift: true }, { newLabels: 1, costlyDrift: 'i' }, 'drift:i:7'],
    ['drift that costs nothing', { drift: true }, { newLabels: 1 }, null],
  ])('%s', (_title, trigger, change, key) => {
    expect(dueRun(trigger, { ...facts, ...change }, 1_600)?.key ?? null).toBe(key);
  });
});

describe('why no run has started', () => {
  it('says what each condition waits for, and what prevents a run', () => {
    const trigger = { labels: 10, every: '1h', decay: true, cooldown: '2m', per_day: 3 };
    expect(explainTriggers(trigger, { ...facts, newLabels: 4 }, 61_000)).toEqual([
      'the cooldown of 2m ends in 1 min',
      'labels: 4 new ones of 10; 6 are missing',
      'every 1h: due in 59 min',
      'decay: monitoring has measured none',
    ]);
  });

  it('is read for the registered model', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m', 'training: {trigger: {labels: 5, drift: true}}\n'), linearModel());
    const ask = () => whyNot('m', { ...stores, now: Date.now() });
    expect(await ask()).toMatchObject({ due: false, reasons: ['no version is live: promote one first'] });
    await makeLive(stores, 'm', 1);
    await labels(stores, 5, 'a');
    expect(await ask()).toMatchObject({
      due: true,
      reasons: ['labels: 5 new ones, 5 are needed: due', expect.any(String)],
    });
    await expect(whyNot('n', { ...stores, now: 0 })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

const model = (stores: Stores) => stores.registry.current().models.get('m')!;

async function labels(stores: Stores, count: number, prefix: string): Promise<void> {
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
     SELECT $2 || n, 'm', 'sdk', 'label', gen_random_uuid(), '1', now() FROM generate_series(1, $1) n`,
    [count, prefix],
  );
}

describe('triggering a model', () => {
  it('requests one run for the same labels, with any number of retrainers', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m', 'training: {trigger: {labels: 5}}\n'), linearModel());
    const dependencies = { ...stores, clock: systemClock };
    expect(await triggerModel(model(stores), dependencies)).toBe(false);
    await makeLive(stores, 'm', 1);
    await labels(stores, 4, 'a');
    expect(await triggerModel(model(stores), dependencies)).toBe(false);
    await labels(stores, 1, 'b');
    const asked = await Promise.all([1, 2, 3].map(() => triggerModel(model(stores), dependencies)));
    expect(asked.filter(Boolean)).toHaveLength(1);
    // It failed: the same labels do not request another run, five more labels do.
    await stores.pool.query("UPDATE training_run SET state = 'failed', ended_at = now()");
    expect(await triggerModel(model(stores), dependencies)).toBe(false);
    await labels(stores, 5, 'c');
    expect(await triggerModel(model(stores), dependencies)).toBe(true);
  });

  it('counts from the labels that the last dataset could contain', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m', 'training: {trigger: {labels: 5}}\n'), linearModel());
    await makeLive(stores, 'm', 1);
    await labels(stores, 8, 'a');
    await stores.pool.query(
      `INSERT INTO dataset (sha256, model, examples, "columns", cut) VALUES ('d', 'm', 8, 2, 8)`,
    );
    await stores.pool.query(
      `INSERT INTO training_run (run_id, model, key, state, dataset_sha256, ended_at)
       VALUES (gen_random_uuid(), 'm', 'k', 'refused', 'd', now())`,
    );
    expect(await triggerModel(model(stores), { ...stores, clock: systemClock })).toBe(false);
    await labels(stores, 5, 'b');
    expect(await triggerModel(model(stores), { ...stores, clock: systemClock })).toBe(true);
  });

  it('requests again after the declared time', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m', 'training: {trigger: {every: 1h}}\n'), linearModel());
    await makeLive(stores, 'm', 1);
    const at = (hours: number) => ({
      ...stores,
      clock: { now: () => Date.now() + hours * 3_600_000, monotonic: systemClock.monotonic },
    });
    expect(await triggerModel(model(stores), at(0))).toBe(false);
    expect(await triggerModel(model(stores), at(1.1))).toBe(true);
    expect(await triggerModel(model(stores), at(1.1))).toBe(false);
  });
});

describe('asking for a run', () => {
  const ask = (stores: Stores, change: object = {}) =>
    requestRun({ model: 'm', key: 'k', reason: '', hold: false, ...change }, stores.pool, stores.registry);

  it('gives the same run for the same key, and another without one', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    await makeLive(stores, 'm', 1);
    const [first, second] = await Promise.all([ask(stores), ask(stores)]);
    expect(first.run.runId).toBe(second.run.runId);
    expect([first.created, second.created].sort()).toEqual([false, true]);
    const [third, fourth] = [await ask(stores, { key: '' }), await ask(stores, { key: '' })];
    expect(third.run.runId).not.toBe(fourth.run.runId);
  });

  it('refuses what cannot be trained, and says why', async () => {
    await using stores = await openStores();
    await push(stores, manifestText('m'), linearModel());
    await push(stores, 'name: bare\ntask: tensor\n', linearModel());
    await makeLive(stores, 'bare', 1);
    await expect(ask(stores, { model: 'nope' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(ask(stores)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'no_live_version',
    });
    await expect(ask(stores, { model: 'bare' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'not_trainable',
    });
    await expect(ask(stores, { key: 'x'.repeat(501) })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
