import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '@hotloop/platform/clock.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { testServices, uniqueName } from '@hotloop/platform/testing/test-services.ts';
import { followShapes } from '@hotloop/preprocessor/event-shapes.ts';
import { startEvents } from '@hotloop/preprocessor/events.ts';
import { findIncident, listIncidents } from '@hotloop/retrainer/monitoring/incidents/incident-store.ts';
import { Monitor } from '@hotloop/retrainer/monitoring/start-monitoring.ts';
import {
  eventually,
  linearModel,
  logPredictions,
  makeLive,
  openStores,
  push,
} from '@hotloop/retrainer/testing/fixture.ts';
import { allCells } from '@hotloop/retrainer/training/feature-cells.ts';
import { expect, it } from 'vitest';

const GOOD = 150;
const CHANGED = 50;
const HOUR = 3_600_000;

/** What a producer sent at first, and sends now. */
const CHANGES = {
  dropped: [{ price: 5 }, {}],
  renamed: [{ price: 5 }, { cost: 5 }],
  retyped: [{ price: 5 }, { price: '5.00' }],
  rescaled: [{ price: 5 }, { price: 5000 }],
} as const;
type Change = keyof typeof CHANGES;
const NAMES = Object.keys(CHANGES) as Change[];

const features = NAMES.map(
  (name) => `  - {name: of_${name}, from: "history.user.${name}.sum(price)", missing: 0}`,
);
const manifestOf = (url: string) => `name: m
task: binary
features:
${features.join('\n')}
monitor: {notify: ["${url}"]}
`;

/** A webhook that keeps the annotations of what it is sent. */
async function receiver() {
  const seen: Record<string, string>[] = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { commonAnnotations, commonLabels } = JSON.parse(text);
    seen.push({ ...commonAnnotations, ...commonLabels });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

it('reports topic, field, first offset and cost of a change by a producer in one incident each', async () => {
  await using stores = await openStores();
  await using hook = await receiver();
  const brokers = testServices().kafkaBrokers.split(',');
  const common = { clock: systemClock, log: stores.log };
  await using producer = await openProducer({ brokers, clientId: 'test', log: stores.log });
  await using shapes = await followShapes(stores.pool, systemClock, stores.log);
  const topic = uniqueName('events');
  const consumer = await startEvents(
    { brokers, clientId: 'test', topics: [topic], groupId: uniqueName('history') },
    {
      take: async () => undefined,
      keepDeadLetter: async () => undefined,
      countShapes: shapes.count,
      ...common,
    },
  );
  await using _stopped = { [Symbol.asyncDispose]: () => consumer.stop(5_000) };
  const send = (rounds: number, side: 0 | 1) =>
    producer.send(
      topic,
      Array.from({ length: rounds }, (_v, round) => NAMES.map((type) => ({ type, round })))
        .flat()
        .map(({ type, round }) => ({
          key: 'one',
          value: JSON.stringify({
            ...{ specversion: '1.0', id: `${type}-${side}-${round}`, source: '/shop', type },
            ...{ time: new Date().toISOString(), data: { entity: { user: 'u' }, ...CHANGES[type][side] } },
          }),
        })),
    );
  await push(stores, manifestOf(hook.url), linearModel(1, NAMES.length));
  await makeLive(stores, 'm', 1);
  const now = Date.now();
  const rows = Array.from({ length: 300 }, (_v, row) => ({
    ...{ model: 'm', at: now - 2 * HOUR + row, columns: NAMES.length },
    features: NAMES.map((_name, at) => Math.sin(row * (at + 1)) * 2),
  }));
  const ids = await logPredictions(stores.pool, rows);
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, value, occurred_at)
     SELECT 'o' || id, 'm', 'test', 'label', id, to_jsonb(value), now() - interval '1 hour'
     FROM jsonb_to_recordset($1::jsonb) AS one (id uuid, value integer)`,
    [
      JSON.stringify(
        ids.map((id, row) => ({
          id,
          value: rows[row]!.features.reduce((a, b) => a + b) + Math.sin(row * 7) > 0 ? 1 : 0,
        })),
      ),
    ],
  );
  await consumer.joined(20_000);
  await send(GOOD, 0);
  await send(CHANGED, 1);
  const sent = (GOOD + CHANGED) * NAMES.length;
  await eventually(async () => {
    await shapes.flush();
    const { rows: counted } = await stores.pool.query<{ sum: string }>(
      `SELECT sum(messages) FROM event_shape WHERE topic = $1 AND kind = 'message'`,
      [topic],
    );
    return Number(counted[0]?.sum ?? 0) >= sent;
  });
  const broken = { model: 'm', columns: NAMES.length, features: NAMES.map(() => 0) };
  await logPredictions(
    stores.pool,
    Array.from({ length: 60 }, () => broken),
  );
  const monitor = new Monitor(
    {
      ...{ ...stores, ...common },
      score: async ({ dataset }) => [
        {
          ...{ rowShape: [1], columns: 1 },
          values: Float32Array.from({ length: dataset.rows }, (_v, row) => {
            const own = allCells(dataset).subarray(row * NAMES.length, (row + 1) * NAMES.length);
            return 1 / (1 + Math.exp(-own.reduce((a, b) => a + b)));
          }),
        },
      ],
    },
    { evaluateEveryMs: 0, closeAfterMs: 0 },
  );
  await monitor.evaluate();
  await eventually(async () => {
    await monitor.deliver();
    return hook.seen.length >= NAMES.length;
  });
  expect(hook.seen).toHaveLength(NAMES.length);
  expect(await listIncidents(stores.pool, { model: 'm', limit: 10 })).toHaveLength(NAMES.length);
  const words: Record<Change, RegExp> = {
    dropped: /^the field price of events dropped is gone from 100 % of the messages/,
    renamed:
      /^the field price of events renamed is gone .*; cost came in its place: it may have been renamed/,
    retyped: /^the field price of events retyped is a text in 100 % of the messages; it was a number/,
    rescaled: /^the field price of events rescaled is about 1,000 times larger in 100 % of the messages/,
  };
  for (const [at, name] of NAMES.entries()) {
    const told = hook.seen.find(({ cause }) => cause === `feature:of_${name}`);
    expect(told).toMatchObject({ topic, field: 'price', severity: 'critical' });
    expect(told!.first_offset).toBe(String(GOOD * NAMES.length + at));
    expect(told!.summary).toMatch(words[name]);
    expect(told!.cost).toMatch(/^-?0\.\d+ auc \(-?0\.\d+ to -?0\.\d+\), 300 labelled rows scored again/);
    const { evidence } = await findIncident(stores.pool, told!.incident!);
    expect(evidence.examples).toHaveLength(5);
  }
});
