import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import {
  eventually,
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { allCells } from '../training/feature-cells.ts';
import { collectLoggedRows } from './collect.ts';
import { findIncident, listIncidents } from './incidents/incident-store.ts';
import { monitoringStatus, statusAlarms } from './monitoring-status.ts';
import { findModel, monitoringReport } from './report/monitoring-report.ts';
import { reportHtml } from './report/report-html.ts';
import { readCalls } from './sketches/call-store.ts';
import { readSketches, SPANS } from './sketches/sketch-store.ts';
import { Monitor } from './start-monitoring.ts';

const MINUTE = 60_000;

/** A webhook that records what it receives, and may refuse. */
async function receiver() {
  const seen: {
    key: string;
    body: { status: string; commonLabels: Record<string, string>; commonAnnotations: Record<string, string> };
  }[] = [];
  const state = { refuses: false };
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      if (!state.refuses)
        seen.push({ key: String(request.headers['idempotency-key']), body: JSON.parse(text) });
      response.writeHead(state.refuses ? 503 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    state,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function logMany(
  stores: Stores,
  count: number,
  at: number,
  missing = 0,
  everyMs = 10,
): Promise<string[]> {
  const rows = Array.from({ length: count }, (_v, row) => ({
    model: 'm',
    at: at + row * everyMs,
    features: [Math.sin(row) * 2, Math.cos(row * 1.7)],
  }));
  const ids = await logPredictions(stores.pool, rows);
  await stores.pool.query(
    `UPDATE prediction SET statuses = CASE WHEN get_byte(uuid_send(prediction_id), 15) < $2 THEN '\\x0100'::bytea ELSE '\\x0000'::bytea END
     WHERE prediction_id = ANY($1::uuid[])`,
    [ids, missing * 256],
  );
  return ids;
}

function monitorOf(stores: Stores, now: () => number): Monitor {
  return new Monitor(
    {
      ...stores,
      clock: { now, monotonic: () => performance.now() },
      score: async ({ dataset }) => [
        {
          rowShape: [1],
          columns: 1,
          values: Float32Array.from(
            { length: dataset.rows },
            (_v, row) => 1 / (1 + Math.exp(-allCells(dataset)[row * 2]!)),
          ),
        },
      ],
    },
    { evaluateEveryMs: 0, closeAfterMs: 0 },
  );
}

/**
 * Reads the log until the summaries hold this many calls of the model. One read may find none of them: rows are read only when
 * no older transaction is open anywhere in the database server, and other tests share it.
 */
async function collectCalls(stores: Stores, monitor: Monitor, calls: number, until: number): Promise<void> {
  await eventually(async () => {
    await monitor.collect();
    const minutes = await readCalls(stores.pool, 'm', 'minute', 0, until);
    return minutes.reduce((sum, minute) => sum + minute.calls, 0) >= calls;
  });
}

it('counts each logged row once, with any number of readers and passes', async () => {
  await using stores = await openStores();
  await push(stores, manifestText('m'), linearModel());
  await makeLive(stores, 'm', 1);
  const now = Date.now();
  await logMany(stores, 300, now - 20 * MINUTE);
  const read = () => collectLoggedRows(stores.pool, stores.registry, now, 100);
  const counted = async () =>
    (await readCalls(stores.pool, 'm', 'minute', 0, now + 1)).reduce((sum, minute) => sum + minute.calls, 0);
  await eventually(async () => {
    await Promise.all([read(), read(), read()]);
    return (await counted()) >= 300;
  });
  await Promise.all([read(), read(), read()]);
  expect(await counted()).toBe(300);
  for (const span of [SPANS.hour, SPANS.recent]) {
    const sketches = await readSketches(stores.pool, { model: 'm', span, since: 0, until: now + 1 });
    expect(sketches.get('x')).toMatchObject({ rows: 300, values: { count: 300 } });
  }
});

it('counts all calls under heavy traffic, and summarises a random part of its rows', async () => {
  await using stores = await openStores();
  await push(stores, manifestText('m'), linearModel());
  await makeLive(stores, 'm', 1);
  const now = Date.now();
  await logMany(stores, 400, now - 20 * MINUTE);
  await eventually(async () => {
    await collectLoggedRows(stores.pool, stores.registry, now, 1000, 100);
    const minutes = await readCalls(stores.pool, 'm', 'minute', 0, now + 1);
    return minutes.reduce((sum, minute) => sum + minute.calls, 0) >= 400;
  });
  const sketches = await readSketches(stores.pool, {
    model: 'm',
    span: SPANS.hour,
    since: 0,
    until: now + 1,
  });
  // All rows were read at once, or in several parts; small parts are read in full.
  expect(sketches.get('x')!.rows).toBeGreaterThan(40);
  expect(sketches.get('x')!.rows).toBeLessThan(400);
});

it('opens one incident for a broken feature with its cost, notifies a webhook once, and closes it', async () => {
  await using stores = await openStores();
  await using hook = await receiver();
  await push(stores, manifestText('m', `monitor: {notify: ["${hook.url}"]}\n`), linearModel());
  await makeLive(stores, 'm', 1);
  let now = Date.now();
  const good = await logMany(stores, 400, now - 40 * MINUTE);
  const labels = good
    .slice(0, 300)
    .map((id, row) => ({ id, value: Math.sin(row) * 2 + Math.sin(row * 7) > 0 ? 1 : 0 }));
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
     SELECT 'o' || id, 'm', 'test', 'label', id, to_jsonb(value), now() - interval '30 minutes'
     FROM jsonb_to_recordset($1::jsonb) AS one (id uuid, value integer)`,
    [JSON.stringify(labels)],
  );
  await logMany(stores, 200, now - 4 * MINUTE, 0.5, 1_000);
  const monitor = monitorOf(stores, () => now);
  await collectCalls(stores, monitor, 600, now + 1);
  await monitor.evaluate();
  const [incident, ...others] = await listIncidents(stores.pool, { model: 'm', limit: 10 });
  expect(others).toEqual([]);
  expect(incident).toMatchObject({ state: 'open', cause: 'feature:x', cost: { metric: 'auc', known: true } });
  expect(incident!.title).toMatch(/^x is missing in [45]\d % of rows/);
  expect(incident!.cost!.loss).toBeGreaterThan(0.02);
  expect(incident!.cost!.low).toBeLessThanOrEqual(incident!.cost!.loss);
  expect(incident!.evidence.examples).toHaveLength(5);

  hook.state.refuses = true;
  await monitor.deliver();
  expect(await monitoringStatus(stores.pool, now)).toMatchObject({
    openIncidents: 1,
    undelivered: { count: 1 },
  });
  expect((await statusAlarms(stores.pool, now)).map(({ message }) => message)).toEqual([
    expect.stringMatching(/^1 messages of incidents were not delivered, .*: the webhook answered 503$/),
    expect.stringMatching(/ incident of m: x is missing in /),
  ]);
  hook.state.refuses = false;
  await stores.pool.query('UPDATE incident_delivery SET next_at = now()');
  await monitor.evaluate();
  await monitor.deliver();
  await monitor.deliver();
  expect(hook.seen).toHaveLength(1);
  expect(hook.seen[0]!.body).toMatchObject({
    status: 'firing',
    commonLabels: { model: 'm', severity: incident!.severity },
  });
  expect(hook.seen[0]!.body.commonAnnotations.cost).toMatch(/auc \(/);

  const html = reportHtml(
    await monitoringReport(stores.pool, findModel(stores.registry, 'm'), now - 86_400_000, now),
  );
  expect(html).toContain('x is missing in');
  expect(html).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);

  now += 30 * MINUTE;
  await logMany(stores, 60, now - MINUTE, 0, 1_000);
  await stores.pool.query('DELETE FROM monitor_sketch WHERE at < to_timestamp($1 / 1000.0)', [
    now - 20 * MINUTE,
  ]);
  await collectCalls(stores, monitor, 660, now + 1);
  await eventually(async () => {
    await monitor.evaluate();
    return (await findIncident(stores.pool, incident!.id)).state === 'closed';
  });
  await monitor.deliver();
  expect(hook.seen.map(({ body }) => body.status)).toEqual(['firing', 'resolved']);
  expect(new Set(hook.seen.map(({ key }) => key)).size).toBe(2);
});

it('alarms when calls stop, with their probability', async () => {
  await using stores = await openStores();
  await push(stores, manifestText('m'), linearModel());
  await makeLive(stores, 'm', 1);
  const now = Date.now();
  await logPredictions(
    stores.pool,
    Array.from({ length: 240 }, (_v, second) => ({
      model: 'm',
      at: now - 330_000 + second * 1000,
      features: [1, 2],
    })),
  );
  const monitor = monitorOf(stores, () => now);
  await collectCalls(stores, monitor, 240, now + 1);
  await monitor.evaluate();
  const [incident] = await listIncidents(stores.pool, { model: 'm', limit: 10 });
  expect(incident).toMatchObject({ cause: 'model:traffic', severity: 'critical' });
  expect(incident!.title).toMatch(/^no call for 9\d s; \d+ were expected/);
});
