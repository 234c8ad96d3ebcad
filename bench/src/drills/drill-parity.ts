import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { connectTo, startBenchLocal } from '../stand/bench-local.ts';
import { countLeaks, LEAKS_MANIFEST } from './count-leaks.ts';
import type { Drill } from './drill.ts';

const MOST_REQUESTS = 100_000;
const USERS = 500;
/** Half of the events belong to a few users, who have thousands each. */
const HEAVY_USERS = 5;
const BATCH = 200;
const LIMIT_MS = 18 * 60_000;
const SETTLE_MS = 25_000;
const MANIFEST = `name: parity
features:
  - {name: amount, from: request.amount}
  - {name: views_1h, from: history.user.view.count, window: 1h, missing: 0}
  - {name: views_7d, from: history.user.view.count, window: 7d, missing: 0}
  - {name: spent_1d, from: history.user.view.sum(price), window: 1d, missing: 0}
  - {name: mean_7d, from: history.user.view.mean(price), window: 7d, missing: 0}
  - {name: least, from: history.user.view.min(price), missing: 0}
  - {name: most_1d, from: history.user.view.max(price), window: 1d, missing: 0}
  - {name: shops, from: history.user.buy.distinct(shop), missing: 0}
  - {name: big_buys, from: history.user.buy.count, where: "event.price > 50.0", missing: 0}
  - {name: last_two, from: history.user.buy.last(2).price, missing: 0}
  - {name: since, from: history.user.view.seconds_since, missing: -1, transform: [log1p]}
  - {name: ratio, from: "ratio(spent_1d, views_7d)", missing: 0}
training: {epochs: 1}
`;

interface Answer {
  readonly compared: number;
  readonly equal: number;
  readonly skipped: number;
  readonly disagreeing: readonly { readonly feature: string; readonly first_prediction: string }[];
}

/**
 * Events and requests run concurrently; afterwards every logged request is recomputed from the archived events and
 * compared with the vector that was served. Then a training set of past labels is built from the archive and
 * compared, cell by cell, with an independent recomputation.
 */
export const drillParity: Drill = async ({ predictions, say }): Promise<Figure[]> => {
  const requests = Math.min(predictions, MOST_REQUESTS);
  const signal = AbortSignal.timeout(LIMIT_MS);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(
    await startBenchLocal(folder.path, { single: true, environment: { HOTLOOP_LOG_LEVEL: 'warn' }, signal }),
  );
  const client = stack.use(await connectTo(local, 30_000));
  const brokers = local.backing.kafkaBrokers.split(',');
  const producer = stack.use(await openProducer({ brokers, clientId: 'parity', log: silentLog() }));
  const { version } = await client.models.push({ manifestYaml: MANIFEST }).finished();
  await client.models.promote('parity', version.version).finished();
  const since = new Date(Date.now() - 1000).toISOString();
  const random = new SeededRandom(5);
  const someUser = () => `u${Math.floor(random.uniform() * (random.uniform() < 0.5 ? HEAVY_USERS : USERS))}`;
  let id = 0;
  const someEvent = () => {
    const user = someUser();
    const agoMs = id % 2 === 0 ? 0 : Math.floor(random.uniform() * 8 * 86_400_000);
    const data = { entity: { user }, price: Math.round(random.uniform() * 100), shop: `s${id % 7}` };
    const type = id % 4 === 0 ? 'buy' : 'view';
    const time = new Date(Date.now() - agoMs).toISOString();
    return {
      key: user,
      value: JSON.stringify({ specversion: '1.0', id: `${id++}`, source: '/parity', type, time, data }),
    };
  };
  for (let asked = 0; asked < requests; asked += BATCH) {
    await producer.send('hotloop.events', Array.from({ length: BATCH / 5 }, someEvent));
    await Promise.all(
      Array.from({ length: BATCH }, (_, index) =>
        client.predict('parity', { user: someUser(), request: { amount: index } }),
      ),
    );
    if (asked % 20_000 === 0) say(`${asked + BATCH} requests, ${id} events`);
  }
  await delay(SETTLE_MS, undefined, { signal });
  const response = await fetch(`http://${local.httpAddresses.retrainer}/v1/models/parity/parity`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ since, most: 2 * requests }),
    signal,
  });
  if (!response.ok) throw new Error(`parity was refused: ${await response.text()}`);
  const { compared, equal, skipped, disagreeing } = (await response.json()) as Answer;
  for (const one of disagreeing) say(`disagrees: ${JSON.stringify(one)}`);
  await client.models.push({ manifestYaml: LEAKS_MANIFEST }).finished();
  const { leaks, cells, rows } = await countLeaks({
    url: `http://${local.httpAddresses.retrainer}`,
    store: join(folder.path, 'local', 'store'),
    folder: folder.path,
    signal,
  });
  say(`training set from history: ${rows} rows, ${cells} cells compared`);
  return [
    figure('leaks', [leaks], { atMost: 0 }),
    figure('leaks_rows', [rows]),
    figure('parity', [equal / Math.max(1, compared)], { atLeast: 0.9999 }),
    figure('parity_compared', [compared]),
    figure('parity_skipped', [skipped]),
    figure('parity_events', [id]),
  ];
};
