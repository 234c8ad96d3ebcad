import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { eventually, openStores } from '../../testing/fixture.ts';
import { insertIncident } from '../incidents/incident-store.ts';
import { deliveriesOf, withLink } from './alert-body.ts';
import { deliverDue } from './deliver.ts';
import { claimDeliveries, enqueueDeliveries } from './delivery-store.ts';
import { postWebhook } from './post-webhook.ts';
import { signatureHeaders } from './sign-webhook.ts';

const SECRET = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const draft = {
  model: 'm',
  cause: 'feature:x',
  title: 'x is missing',
  severity: 'warning',
  signals: [],
} as const;

/** A server whose paths are receivers: each answers in its own way, or not at all. */
async function receivers() {
  const seen: { path: string; headers: Record<string, unknown>; text: string }[] = [];
  const answers: Readonly<Record<string, (response: ServerResponse) => void>> = {
    '/good': (response) => response.end('ok'),
    '/hang': () => undefined,
    '/endless': (response) => response.writeHead(200, { 'content-length': '1000' }).write('{'),
    '/error': (response) => response.writeHead(500).end(),
    '/redirect': (response) => response.writeHead(302, { location: '/stolen' }).end(),
    '/reset': (response) => response.destroy(),
  };
  const hanging = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const path = request.url ?? '';
    seen.push({ path, headers: request.headers, text });
    answers[path]?.(response);
    if (path === '/hang') hanging.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    seen,
    hanging: hanging.promise,
    url: (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

it('delivers to receivers that answer, and keeps the message for those that hang, fail or redirect', async () => {
  await using stores = await openStores();
  await using hooks = await receivers();
  const incident = await insertIncident(stores.pool, draft, null, {}, Date.now());
  const paths = ['/hang', '/endless', '/error', '/redirect', '/reset', '/good'];
  await enqueueDeliveries(stores.pool, deliveriesOf(incident!, paths.map(hooks.url)));
  const stop = new AbortController();
  const all = deliverDue({ ...stores, consoleUrl: 'https://hotloop.example/' }, stop.signal);
  await hooks.hanging;
  await eventually(async () => (await delivered()).filter(({ done }) => done).length === 2);
  stop.abort();
  expect(await all).toBe(2);
  expect((await delivered()).map(({ path, error }) => [path, error])).toEqual([
    ['/endless', ''],
    ['/error', 'the webhook answered 500'],
    ['/good', ''],
    ['/hang', expect.stringMatching(/^the webhook cannot be reached/)],
    ['/redirect', 'the webhook answered 302'],
    ['/reset', expect.stringMatching(/^the webhook cannot be reached/)],
  ]);
  expect(hooks.seen.map(({ path }) => path)).not.toContain('/stolen');
  const body = JSON.parse(hooks.seen.find(({ path }) => path === '/good')!.text);
  expect(body).toMatchObject({
    externalURL: 'https://hotloop.example/',
    alerts: [{ generatorURL: `https://hotloop.example/incidents/${incident!.id}` }],
  });

  async function delivered() {
    const { rows } = await stores.pool.query<{ receiver: string; done: boolean; error: string }>(
      'SELECT receiver, delivered_at IS NOT NULL AS done, last_error AS error FROM incident_delivery',
    );
    return rows
      .map(({ receiver, ...row }) => ({
        path: new URL(receiver.slice(receiver.indexOf('http'))).pathname,
        ...row,
      }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }
});

it('claims only a part at once for one receiver, so that others are not kept waiting', async () => {
  await using stores = await openStores();
  for (let at = 0; at < 20; at++) {
    const incident = await insertIncident(
      stores.pool,
      { ...draft, cause: `feature:x${at}` },
      null,
      {},
      Date.now(),
    );
    await enqueueDeliveries(
      stores.pool,
      deliveriesOf(incident!, ['https://hanging.example/', 'https://good.example/']),
    );
  }
  const claimed = await claimDeliveries(stores.pool, 16, 60_000);
  const of = (host: string) => claimed.filter(({ receiver }) => receiver.includes(host)).length;
  expect([of('hanging'), of('good')]).toEqual([4, 4]);
});

it('signs messages where model.yaml names a secret, and says what is wrong with a bad secret', async () => {
  await using stores = await openStores();
  await using hooks = await receivers();
  const incident = await insertIncident(stores.pool, draft, null, {}, Date.now());
  const receiver = { webhook: hooks.url('/good'), format: 'slack', secret_env: 'ALERTS_SECRET' } as const;
  await enqueueDeliveries(stores.pool, deliveriesOf(incident!, [receiver]));
  const errorWith = async (secret: string | undefined) => {
    await stores.pool.query('UPDATE incident_delivery SET next_at = now()');
    expect(await deliverDue({ ...stores, secrets: () => secret })).toBe(0);
    const { rows } = await stores.pool.query<{ last_error: string }>(
      'SELECT last_error FROM incident_delivery',
    );
    return rows[0]!.last_error;
  };
  expect(await errorWith(undefined)).toBe(
    'the retrainer has no variable ALERTS_SECRET: set it to the secret of the webhook and restart',
  );
  expect(await errorWith('not base64!')).toMatch(/^ALERTS_SECRET is not base64/);
  expect(await errorWith('c2hvcnQ=')).toBe('ALERTS_SECRET holds 5 bytes; a secret has 24 to 64');
  expect(hooks.seen).toEqual([]);
  await stores.pool.query('UPDATE incident_delivery SET next_at = now()');
  expect(await deliverDue({ ...stores, secrets: () => `whsec_${SECRET}` })).toBe(1);
  const { headers, text } = hooks.seen[0]!;
  const id = String(headers['webhook-id']);
  const at = Number(headers['webhook-timestamp']) * 1000;
  expect(id).toBe(headers['idempotency-key']);
  expect(headers['webhook-signature']).toBe(signatureHeaders('', SECRET, id, text, at)['webhook-signature']);
  // The example of the reference implementation.
  expect(
    signatureHeaders('', SECRET, 'msg_p5jXN8AQM9LWM0D4loKWxJek', '{"test": 2432232314}', 1_614_265_330_000),
  ).toMatchObject({ 'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' });
});

it('adds a link to mails and to Slack as a line, and none where the console has no address', () => {
  const link = 'https://hotloop.example/incidents/1';
  expect(withLink('email:team@example.com', { subject: 's', text: 'what' }, link)).toEqual({
    subject: 's',
    text: `what\n${link}`,
  });
  expect(withLink('webhook:slack:https://hooks.example/', { text: 'what' }, undefined)).toEqual({
    text: 'what',
  });
});

it('says that a receiver does not answer in time', async () => {
  await using hooks = await receivers();
  await expect(postWebhook(hooks.url('/hang'), '{}', {}, 50)).rejects.toThrow(
    'the webhook did not answer within 0.05 s',
  );
});
