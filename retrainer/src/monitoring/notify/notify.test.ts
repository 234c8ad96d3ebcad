import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { expect, it } from 'vitest';
import {
  linearModel,
  makeLive,
  manifestText,
  openStores,
  push,
  type Stores,
  startTestRetrainer,
} from '../../testing/fixture.ts';
import { type ApplyOptions, applySignals } from '../incidents/apply-signals.ts';
import { endSilence, insertSilence } from '../incidents/incident-store.ts';
import type { Signal } from '../signals/signal.ts';
import { reportAbsence } from '../start-monitoring.ts';
import { deliverDue } from './deliver.ts';
import { checkedLookup } from './post-webhook.ts';

const signal: Signal = {
  ...{ kind: 'missing', feature: 'x', source: 'request.x', effect: 0.4, low: 0.3, high: 0.5, unit: 'share' },
  ...{ threshold: 0.02, p: 1e-20, n: 1000, severity: 'warning', message: 'x is missing in 40 % of rows' },
};
const nothingFound = { costOf: async () => null, evidenceOf: async () => ({}) };

function apply(stores: Stores, monitor: unknown, now: number, signals = [signal]) {
  const manifest = manifestSchema.parse({
    ...{ name: 'm', monitor },
    features: [{ name: 'x', from: 'request.x', missing: 0 }],
  });
  const options: ApplyOptions = { model: 'm', monitor: manifest.monitor, now, closeAfterMs: 0 };
  return applySignals(stores.pool, signals, nothingFound, options);
}

/** A mail server with enough SMTP to receive a message. */
async function mailServer() {
  const messages: string[] = [];
  const server = createTcpServer((socket) => {
    let data: string[] | null = null;
    const say = (line: string) => socket.write(`${line}\r\n`);
    say('220 test');
    socket.setEncoding('utf8');
    let rest = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines)
        if (data && line === '.') {
          messages.push(data.join('\n'));
          data = null;
          say('250 taken');
        } else if (data) data.push(line);
        else if (/^DATA/i.test(line)) {
          data = [];
          say('354 go on');
        } else if (/^QUIT/i.test(line)) {
          say('221 bye');
          socket.end();
        } else say('250 ok');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    messages,
    url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function hook() {
  const bodies: unknown[] = [];
  const server = createHttpServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    bodies.push(JSON.parse(text));
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    bodies,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

it('notifies Slack and a mailbox, and escalates an unacknowledged incident once', async () => {
  await using stores = await openStores();
  await using mail = await mailServer();
  await using slack = await hook();
  await push(stores, manifestText('m'), linearModel());
  const monitor = {
    notify: ['mailto:team@example.com', { webhook: slack.url, format: 'slack' }],
    escalate: { after: '1h', to: [{ email: 'lead@example.com' }] },
  };
  const settings = { ...stores, mail: { url: mail.url, from: 'hotloop@example.com' } };
  const now = Date.now();
  await apply(stores, monitor, now);
  await apply(stores, monitor, now + 1000);
  await deliverDue(settings);
  expect(mail.messages).toHaveLength(1);
  expect(mail.messages[0]).toMatch(/^Subject: \[hotloop warning\] m: x is missing in 40 % of rows$/m);
  expect(mail.messages[0]).toMatch(/^To: team@example\.com$/m);
  expect(slack.bodies).toEqual([{ text: expect.stringContaining('x is missing in 40 % of rows') }]);
  // What, since when, and what to do.
  const { text } = slack.bodies[0] as { text: string };
  expect(text).toMatch(/^began 20\d\d-.* UTC, noticed 20\d\d-.* UTC$/m);
  expect(text).toMatch(/^to do: Open an example with .* More: docs\/runbooks\.md#missing$/m);
  for (const minutes of [61, 62, 63]) await apply(stores, monitor, now + minutes * 60_000);
  await deliverDue(settings);
  await deliverDue(settings);
  expect(mail.messages.slice(1).map((text) => /^To: (.*)$/m.exec(text)?.[1])).toEqual(['lead@example.com']);
  expect(mail.messages[1]).toMatch(/^Subject: \[hotloop warning, escalated\] m: /m);
  expect(slack.bodies).toHaveLength(1);

  // What a silence held back is told once, when it is over.
  const other = { ...signal, feature: 'y', source: 'request.y', message: 'y is missing in 40 % of rows' };
  const silence = { model: 'm', cause: 'feature:y', reason: 'known', actor: 'test' };
  const { id } = await insertSilence(stores.pool, { ...silence, until: now + 90 * 60_000 });
  await apply(stores, monitor, now + 65 * 60_000, [signal, other]);
  await deliverDue(settings);
  expect(slack.bodies).toHaveLength(1);
  expect(await endSilence(stores.pool, 'm', id, now + 70 * 60_000)).toBe(true);
  expect(await endSilence(stores.pool, 'm', id, now + 70 * 60_000)).toBe(false);
  for (const minutes of [71, 72]) await apply(stores, monitor, now + minutes * 60_000, [signal, other]);
  await deliverDue(settings);
  expect(slack.bodies.slice(1)).toEqual([{ text: expect.stringContaining('y is missing in 40 % of rows') }]);
});

it('acknowledges, silences and closes over HTTP, and counts open incidents', async () => {
  await using stores = await openStores();
  await using slack = await hook();
  const notify = `monitor: {notify: [{webhook: "${slack.url}", format: slack}], escalate: {after: 1h, to: ["${slack.url}"]}}\n`;
  await push(stores, manifestText('m', notify), linearModel());
  await makeLive(stores, 'm', 1);
  await using metrics = openMetrics('retrainer');
  await using started = await startTestRetrainer(stores, {
    ...{ trainers: 0, monitors: false },
    http: { listen: '127.0.0.1:0', metrics },
  });
  const base = `http://${started.retrainer.httpAddress}`;
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(base + path, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
  };
  const monitor = {
    notify: [{ webhook: slack.url, format: 'slack' }],
    escalate: { after: '1h', to: [slack.url] },
  };
  const now = Date.now();
  const silenced = await ask('POST', '/v1/models/m/silences', {
    for: '2h',
    cause: 'feature:x',
    reason: 'known',
  });
  expect(silenced.status).toBe(200);
  expect((await ask('POST', '/v1/models/m/silences', { for: '2h' })).status).toBe(400);
  const { opened } = await apply(stores, monitor, now);
  await deliverDue(stores);
  expect(slack.bodies).toEqual([]);
  const [incident] = opened;
  const path = `/v1/incidents/${incident!.id}`;
  expect(await ask('GET', '/v1/incidents?open=true')).toMatchObject({
    body: { incidents: [{ id: incident!.id }] },
  });
  const scraped = await (await fetch(`${base}/metrics`)).text();
  expect(scraped).toMatch(/^hotloop_incidents_open{hotloop_model="m",hotloop_severity="warning"} 1$/m);
  expect((await ask('POST', `${path}/acknowledge`, { note: 'mine' })).body).toMatchObject({ note: 'mine' });
  expect((await ask('POST', `${path}/acknowledge`, {})).status).toBe(400);
  // An acknowledged incident is not escalated, whether it is silenced or not.
  await stores.pool.query('DELETE FROM monitor_silence');
  await apply(stores, monitor, now + 2 * 3_600_000);
  await deliverDue(stores);
  expect(slack.bodies).toEqual([]);
  expect((await ask('POST', `${path}/close`, { note: 'repaired' })).body).toMatchObject({ state: 'closed' });
  expect((await ask('POST', `${path}/close`, {})).status).toBe(400);
  expect((await ask('GET', '/v1/incidents/00000000-0000-7000-8000-000000000000')).status).toBe(404);
  await deliverDue(stores);
  expect(slack.bodies).toHaveLength(1);

  // No monitor ran for an hour: two monitors that start report its beginning and end once.
  await stores.pool.query("UPDATE monitor_position SET heartbeat_at = now() - interval '1 hour'");
  await Promise.all([1, 2].map(() => reportAbsence(stores.pool, stores.registry, Date.now())));
  for (const _turn of [1, 2]) await deliverDue(stores);
  expect(slack.bodies.slice(1)).toEqual([
    { text: expect.stringMatching(/^the platform: no monitor worked for 60 minutes[\s\S]*state open/) },
    { text: expect.stringMatching(/^the platform: no monitor worked for 60 minutes[\s\S]*state closed/) },
  ]);
});

it.each([
  ['169.254.169.254', 'a metadata address'],
  ['fd00:ec2::254', 'a metadata address of IPv6'],
  ['127.0.0.1', 'loopback'],
])('refuses a name that leads to %s, %s, as the second of its addresses', async (address) => {
  const family = address.includes(':') ? 6 : 4;
  const resolveTo =
    (...addresses: { address: string; family: number }[]): Parameters<typeof checkedLookup>[1] =>
    (_name, _options, done) =>
      done(null, addresses);
  const ask = (...addresses: { address: string; family: number }[]) =>
    new Promise<Error | null>((resolve) =>
      checkedLookup('hooks.example', resolveTo(...addresses))('hooks.example', {}, (error) => resolve(error)),
    );
  const good = { address: '93.184.216.34', family: 4 };
  expect(await ask(good)).toBeNull();
  expect((await ask(good, { address, family }))?.message).toContain(
    `resolves to ${address}, which is refused`,
  );
});
