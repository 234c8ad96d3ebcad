import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { type Authenticator, createAuthenticator, ROLES } from '@hotloop/platform/auth/authorization.ts';
import { createJwtVerifier } from '@hotloop/platform/auth/jwt-verifier.ts';
import { openKeyring } from '@hotloop/platform/auth/keyring.ts';
import { startIssuer } from '@hotloop/platform/auth/testing/test-issuer.ts';
import { systemClock } from '@hotloop/platform/clock.ts';
import { openHttpServer } from '@hotloop/platform/http/http-server.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import type { FeedbackItem, FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import type { AdmissionLimits } from '../admission.ts';
import { takeEvents } from '../take-events.ts';
import { logistic } from '../testing/memory-inference.ts';
import { openPredictor } from '../testing/open-predictor.ts';
import { predictionRoutes } from './prediction-routes.ts';

/** Rejects outcomes of all models except `shopper`; keeps the rest. */
class MemoryFeedback implements FeedbackPort {
  readonly items: FeedbackItem[] = [];

  async recordOutcomes(items: readonly FeedbackItem[]) {
    this.items.push(...items);
    return items.map(({ id, model }) =>
      model === 'shopper'
        ? { id, status: 'accepted' as const, error: null }
        : { id, status: 'refused' as const, error: new HotloopError('NOT_FOUND', `no model ${model}`) },
    );
  }
}

async function open(
  apiKeys?: string,
  authenticator: Authenticator = createAuthenticator(apiKeys),
  limits: Partial<AdmissionLimits> = {},
) {
  const stack = new AsyncDisposableStack();
  const metrics = stack.use(openMetrics('test'));
  const opened = openPredictor({ limits });
  const feedback = new MemoryFeedback();
  const server = stack.use(
    await openHttpServer(
      {
        listen: '127.0.0.1:0',
        title: 'test',
        routes: predictionRoutes({
          predictor: opened.predictor,
          explainer: opened.explainer,
          timeouts: { defaultTimeoutMs: 5000, maxTimeoutMs: 5000 },
          feedback,
          take: takeEvents(opened.store, undefined, systemClock),
          clock: systemClock,
        }),
      },
      { authenticator, metrics, log: silentLog() },
    ),
  );
  const url = `http://${server.address}`;
  const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...headers },
    });
  return { ...opened, feedback, url, post, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The document of an answer, for assertions. */
// biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the test asserts.
const documentOf = (response: Response): Promise<any> => response.json();

const PREDICT = '/v1/models/shopper/predict';

describe('the front door over HTTP', () => {
  it('accepts tokens of an issuer, and refuses those that are not valid here', async () => {
    await using issuer = await startIssuer();
    await using ring = await openKeyring({ list: async () => [] }, silentLog(), {
      ...{ apiKeys: undefined, tokens: createJwtVerifier(issuer.settings) },
    });
    await using door = await open(undefined, ring);
    const ask = async (claims: Record<string, unknown>) => {
      const token = await issuer.sign({ realm: { roles: ['predict'] }, ...claims });
      const answer = await door.post(PREDICT, '{"request":{"price":1}}', {
        authorization: `Bearer ${token}`,
      });
      return [answer.status, (await documentOf(answer)).reason];
    };
    expect(await ask({})).toEqual([200, undefined]);
    expect(await ask({ exp: Math.floor(Date.now() / 1000) - 60 })).toEqual([401, 'expired_token']);
    expect(await ask({ aud: 'another' })).toEqual([401, 'invalid_token']);
    expect(await ask({ realm: { roles: ['feedback'] } })).toEqual([403, 'missing_role']);
    expect(await ask({ hotloop_models: ['ranker'] })).toEqual([403, 'model_not_in_scope']);
  });

  it('explains every column of a request with its source and status, and treats null as missing', async () => {
    await using door = await open();
    const body = JSON.stringify({ request: { price: 2, colour: null, prise: 3 }, entities: { user: 'u1' } });
    const answer = await door.post('/v1/models/shopper/explain', body);
    expect(answer.status).toBe(200);
    const { features, unread } = await documentOf(answer);
    expect(unread).toEqual(['request.prise']);
    expect(features.find(({ feature }: { feature: string }) => feature === 'price')).toEqual({
      feature: 'price',
      source: 'request.price',
      status: 'FRESH',
      candidate: '',
      raw: [2],
      input: '',
      columns: [{ index: expect.any(Number), name: 'price', value: 2 }],
    });
    const refused = await door.post(
      '/v1/models/shopper/explain',
      JSON.stringify({ request: { price: 'two' } }),
    );
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain('price');
  });

  it('rejects excess load before it reads the body, and says when to try again', async () => {
    await using door = await open(undefined, undefined, { maxInFlight: 0 });
    const refused = await door.post(PREDICT, '{ no document');
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await documentOf(refused)).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'too_many_in_flight',
    });
  });

  it('rejects outcomes and explanations of a model outside the scope of the key', async () => {
    const caller = { subject: 'shop', roles: new Set(ROLES), models: new Set(['ranker']) };
    await using door = await open(undefined, { required: true, authenticate: () => caller });
    const outcomes = { outcomes: [{ model: 'ranker', prediction_id: 'p' }, { model: 'shopper' }] };
    for (const [path, body] of [
      ['/v1/outcomes', outcomes],
      ['/v1/models/shopper/explain', { request: { price: 2 } }],
    ] as const) {
      const refused = await door.post(path, JSON.stringify(body));
      expect([refused.status, await documentOf(refused)]).toMatchObject([
        403,
        { reason: 'model_not_in_scope' },
      ]);
    }
    expect(door.feedback.items).toEqual([]);
  });

  it('answers one prediction', async () => {
    await using door = await open();
    const body = { entities: { user: 'u1' }, request: { price: 2 }, want_feature_statuses: true };
    const response = await door.post(PREDICT, JSON.stringify(body));
    expect(response.status).toBe(200);
    const reply = await documentOf(response);
    expect(reply).toMatchObject({ model: 'shopper', version: 1, variant: 'live', degraded: [] });
    expect(reply.decision.score).toBeCloseTo(logistic([2, 0]), 2);
    expect(reply.feature_statuses).toHaveLength(2);
  });

  it('ranks candidates', async () => {
    await using door = await open();
    const candidates = [1, 3, 2].map((price) => ({ id: `p${price}`, attributes: { price } }));
    const response = await door.post('/v1/models/ranker/predict', JSON.stringify({ candidates }));
    const { decision } = await documentOf(response);
    expect(decision.ranked.map(({ id }: { id: string }) => id)).toEqual(['p3', 'p2', 'p1']);
  });

  it('answers a stream of lines in order; a failed line does not affect the others', async () => {
    await using door = await open();
    const lines = Array.from({ length: 300 }, (_, index) =>
      JSON.stringify({ request: { price: index / 100 } }),
    );
    lines[7] = '{"request": {"price": 1, "price": 2}}';
    lines[9] = ' '.repeat(2 * 1024 * 1024);
    const response = await door.post('/v1/models/shopper/predict-batch', lines.join('\r\n'), {
      'content-type': 'application/x-ndjson',
    });
    const answers = (await response.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers).toHaveLength(300);
    expect(answers[7]).toMatchObject({ line: 8, error: { status: 400, reason: 'invalid_json' } });
    expect(answers[7].error.detail).toContain('request.price');
    expect(answers[9]).toMatchObject({ line: 10, error: { status: 400, reason: 'line_too_long' } });
    expect(answers[299].decision.score).toBeCloseTo(logistic([2.99, -1]), 2);
  });

  it('forwards outcomes and reports which were rejected', async () => {
    await using door = await open();
    const outcomes = [
      { id: 'a', model: 'shopper', prediction_id: 'p', value: true },
      { id: 'b', model: 'nobody', keys: { user: 'u' }, attributes: { paid: 2 } },
    ];
    const response = await door.post('/v1/outcomes', JSON.stringify({ outcomes }));
    expect(await documentOf(response)).toMatchObject({
      ...{ accepted: 1, duplicates: 0, refused: 1 },
      results: [{ status: 'accepted' }, { status: 'refused', code: 'NOT_FOUND', detail: 'no model nobody' }],
    });
    expect(door.feedback.items[1]).toMatchObject({ id: 'b', value: null, attributes: { paid: 2 } });
  });

  it('accepts events, which the next prediction uses', async () => {
    await using door = await open();
    const event = (given: object) => ({
      ...{ specversion: '1.0', id: '1', source: '/shop', type: 'view', time: new Date().toISOString() },
      data: { entity: { user: 'u7' } },
      ...given,
    });
    const send = (body: unknown) => door.post('/v1/events', JSON.stringify(body));
    expect(await documentOf(await send(event({})))).toEqual({ accepted: 1, refused: [] });
    const list = [event({}), event({ id: '2' }), event({ id: '3', time: 'yesterday' })];
    expect(await documentOf(await send(list))).toEqual({
      accepted: 2,
      refused: [{ index: 2, detail: expect.stringContaining('time') }],
    });
    const response = await door.post(PREDICT, '{"entities":{"user":"u7"},"request":{"price":2}}');
    expect((await documentOf(response)).decision.score).toBeCloseTo(logistic([2, 2]), 4);
    expect((await send(event({ data: {} }))).status).toBe(400);
  });

  it.each([
    ['a repeated key', '{"request":{"price":1,"price":2}}', 'request.price'],
    ['__proto__', '{"request":{"__proto__":1}}', 'request.__proto__'],
    ['deep nesting', `{"request":${'['.repeat(100)}`, '32 levels'],
    ['a number that is text', '{"request":{"price":"cheap"}}', 'price'],
    ['NaN', '{"request":{"price":NaN}}', 'not JSON'],
    ['infinity', '{"request":{"price":1e999}}', 'request.price'],
    ['null', '{"request":{"price":null}}', 'request.price'],
    ['a mixed list', '{"request":{"price":[1,"a"]}}', 'request.price'],
    ['an unknown field', '{"requests":{}}', 'requests'],
    ['a list too long', `{"request":{"price":[${'1,'.repeat(20_000)}1]}}`, 'request.price'],
    ['another kind of field', '{"entities":{"user":7}}', 'entities.user'],
    ['a list instead of a request', '[]', 'expected object'],
    ['nothing', '', 'empty'],
    ['10 MB', `{"request":{"price":"${'x'.repeat(10_000_000)}"}}`, 'too large'],
    ['a text that is not an id', '{"prediction_id":"7"}', 'prediction_id'],
  ])('rejects %s with 400 and the field', async (_name, body, named) => {
    await using door = await open();
    const response = await door.post(PREDICT, body);
    expect([response.status, response.headers.get('content-type')]).toEqual([
      400,
      expect.stringContaining('application/problem+json'),
    ]);
    const problem = await documentOf(response);
    expect(problem).toMatchObject({ code: 'INVALID_ARGUMENT', status: 400 });
    expect(problem.detail).toContain(named);
    expect((await door.post(PREDICT, '{"request":{"price":1}}')).status).toBe(200);
  });

  it('rejects bytes that are not UTF-8', async () => {
    await using door = await open();
    const response = await door.post(PREDICT, new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]));
    expect((await documentOf(response)).detail).toContain('UTF-8');
  });

  it('answers 404 for an unknown model, 401 without a key and 403 without the role', async () => {
    await using door = await open();
    expect((await door.post('/v1/models/nobody/predict', '{}')).status).toBe(404);
    await using closed = await open('a-key-of-enough-length:shop:predict');
    expect((await closed.post(PREDICT, '{}')).status).toBe(401);
    const key = { 'x-api-key': 'a-key-of-enough-length' };
    expect((await closed.post(PREDICT, '{"request":{"price":1}}', key)).status).toBe(200);
    expect((await closed.post('/v1/outcomes', '{"outcomes":[]}', key)).status).toBe(403);
  });

  it('answers the Python client', async ({ skip }) => {
    await using door = await open();
    const clients = fileURLToPath(new URL('../../../clients/python', import.meta.url));
    const run = promisify(execFile);
    const isThere = await run('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).then(
      () => true,
      () => false,
    );
    if (!isThere) return skip('there is no Python 3.9 here');
    const environment = { PATH: process.env.PATH ?? '', PYTHONPATH: clients, PYTHONDONTWRITEBYTECODE: '1' };
    const script = `${clients}/tests/front_door.py`;
    const { stdout } = await run('python3', [script, door.url], { env: environment });
    expect(JSON.parse(stdout)).toEqual({
      ...{ score: expect.closeTo(logistic([2, 0]), 5), statuses: 2, batch: [1, 'INVALID_ARGUMENT'] },
      ...{ outcomes: ['accepted'], events: 1, error: 'NOT_FOUND' },
    });
  });

  it('accepts and returns gzip, and describes itself in OpenAPI 3.1', async () => {
    await using door = await open();
    const response = await fetch(`${door.url}/openapi.json`, { headers: { 'accept-encoding': 'gzip' } });
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const description = await documentOf(response);
    expect(description.openapi).toBe('3.1.0');
    expect(Object.keys(description.paths)).toEqual(
      expect.arrayContaining([
        '/v1/models/{model}/predict',
        '/v1/models/{model}/predict-batch',
        '/v1/outcomes',
      ]),
    );
    const zipped = gzipSync('{"request":{"price":1}}');
    expect((await door.post(PREDICT, zipped, { 'content-encoding': 'gzip' })).status).toBe(200);
  });

  it('answers a client generated from its OpenAPI document', async () => {
    await using door = await open();
    const description = await documentOf(await fetch(`${door.url}/openapi.json`));
    const client = await generatedClient(description, door.url);
    const answer = await client.post_v1_models_model_predict?.(
      { model: 'shopper' },
      { request: { price: 2 }, entities: { user: 'u1' } },
    );
    expect(answer).toMatchObject({ model: 'shopper', version: 1, decision: { score: expect.any(Number) } });
    const schema = description.paths['/v1/models/{model}/predict'].post.responses['200'].content[
      'application/json'
    ].schema as { required: string[] };
    expect(Object.keys(answer ?? {})).toEqual(expect.arrayContaining(schema.required));
    const time = new Date().toISOString();
    const event = { specversion: '1.0', id: '1', source: '/generated', type: 'view', time };
    expect(await client.post_v1_events?.({}, [{ ...event, data: { entity: { user: 'u1' } } }])).toMatchObject(
      { accepted: 1 },
    );
    await expect(client.post_v1_models_model_predict?.({ model: 'nobody' }, {})).rejects.toThrow('NOT_FOUND');
  });
});

type Generated = Readonly<
  Record<string, (path: Readonly<Record<string, string>>, body: unknown) => Promise<Record<string, unknown>>>
>;

/** Generates a client from an OpenAPI document, with one function per operation, and loads it. */
async function generatedClient(
  // biome-ignore lint/suspicious/noExplicitAny: a document of any shape.
  { openapi, paths }: any,
  url: string,
): Promise<Generated> {
  expect(openapi).toBe('3.1.0');
  const functions = Object.entries(paths as Record<string, Record<string, unknown>>).flatMap(
    ([path, methods]) =>
      Object.keys(methods).map((method) => {
        const name = `${method}${path.replaceAll(/[^a-z0-9]+/gi, '_').replace(/_$/, '')}`;
        const target = path.replaceAll(
          /\{(\w+)\}/g,
          (_found, name) => `\${encodeURIComponent(path.${name})}`,
        );
        return `export const ${name} = (path, body) => call(${JSON.stringify(method.toUpperCase())}, \`${target}\`, body);`;
      }),
  );
  const source = `async function call(method, path, body) {
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const answer = await fetch(${JSON.stringify(url)} + path, { method, ...sent });
    const document = await answer.json();
    if (!answer.ok) throw new Error(document.code + ': ' + document.detail);
    return document;
  }
  ${functions.join('\n')}`;
  return (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as Generated;
}
