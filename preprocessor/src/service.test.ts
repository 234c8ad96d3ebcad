import type { MethodDefinition } from '@grpc/grpc-js';
import { eventsOf } from '@hotloop/model/features/event-list.ts';
import { manifestOf } from '@hotloop/model/testing/manifests.ts';
import {
  type Authenticator,
  type Caller,
  createAuthenticator,
} from '@hotloop/platform/auth/authorization.ts';
import { createJwtVerifier } from '@hotloop/platform/auth/jwt-verifier.ts';
import { openKeyring } from '@hotloop/platform/auth/keyring.ts';
import { startIssuer } from '@hotloop/platform/auth/testing/test-issuer.ts';
import { FramedClient } from '@hotloop/platform/framed/framed-client.ts';
import { fromStatus } from '@hotloop/platform/framed/status.ts';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { memoryRegistry } from '@hotloop/platform/registry/memory-registry.ts';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { IngestEventsReply__Output } from '@hotloop/proto/gen/hotloop/v1/IngestEventsReply.ts';
import type { IntakeServiceClient } from '@hotloop/proto/gen/hotloop/v1/IntakeService.ts';
import type { PredictBatchReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictBatchReply.ts';
import type { PredictItem } from '@hotloop/proto/gen/hotloop/v1/PredictItem.ts';
import type { PredictionServiceClient } from '@hotloop/proto/gen/hotloop/v1/PredictionService.ts';
import type { PredictReply__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictReplyItem__Output } from '@hotloop/proto/gen/hotloop/v1/PredictReplyItem.ts';
import type { PredictRequest } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import { describe, expect, it } from 'vitest';
import { GrpcDecision } from './adapters/grpc-decision.ts';
import { GrpcInference } from './adapters/grpc-inference.ts';
import type { AdmissionLimits } from './admission.ts';
import { MemoryHistory } from './history/memory-history.ts';
import { startPreprocessor } from './service.ts';
import { ThresholdDecision } from './testing/memory-decision.ts';
import { LogisticInference, logistic } from './testing/memory-inference.ts';
import { MemoryTracing } from './testing/memory-tracing.ts';
import { serveDecision, serveInference } from './testing/port-servers.ts';
import { versionRecord } from './testing/version-record.ts';

/** Quotas stand still, so that they do not depend on how fast the test runs. */
const NOW = Date.now();

const RANKER = manifestOf({
  name: 'ranker',
  task: 'ranking',
  decision: { combine: 'score + 0.0 * item.price' },
  features: [{ name: 'price', from: 'item.price' }],
});
const PLAIN = manifestOf({
  name: 'plain',
  features: [
    { name: 'price', from: 'request.price' },
    { name: 'month', from: 'request.month', missing: 'Jan', transform: [{ one_hot: ['Jan', 'Feb'] }] },
    { name: 'weekend', from: 'request.weekend', type: 'flag', missing: false },
  ],
});

/** The preprocessor between gRPC servers that simulate compute and postprocessor, and a client. */
async function open(
  options: {
    apiKeys?: string;
    apiKey?: string;
    limits?: AdmissionLimits;
    authenticator?: Authenticator;
  } = {},
) {
  const stack = new AsyncDisposableStack();
  const registry = memoryRegistry();
  for (const manifest of [PLAIN, RANKER])
    registry.set({
      ...{ name: manifest.name, liveVersion: 1, previousVersion: null, targetVersion: null, generation: 1 },
      versions: new Map([[1, versionRecord(manifest)]]),
    });
  registry.publish();
  const inference = new LogisticInference();
  const decision = new ThresholdDecision();
  const compute = stack.use(await serveInference(inference));
  const postprocessor = stack.use(await serveDecision(decision));
  const inferencePort = stack.use(new GrpcInference({ address: compute.address }, silentLog()));
  const decisionPort = stack.use(new GrpcDecision({ address: postprocessor.address }, silentLog()));
  await Promise.all([inferencePort.ready(5000), decisionPort.ready(5000)]);
  const history = new MemoryHistory();
  const service = stack.use(
    await startPreprocessor(
      { listen: '127.0.0.1:0', drainMs: 2000, ...(options.limits ? { limits: options.limits } : {}) },
      {
        ...{ registry, inference: inferencePort, decision: decisionPort, history },
        ...{ keepDeadLetter: async () => undefined, tracing: new MemoryTracing(false), log: silentLog() },
        authenticator: options.authenticator ?? createAuthenticator(options.apiKeys),
      },
    ),
  );
  const channel = openChannel(service.address, {
    ownConnection: true,
    ...(options.apiKey ? { apiKey: options.apiKey } : {}),
  });
  const client = openServiceClient<PredictionServiceClient>(
    channel,
    loadDefinitions(['hotloop/v1/prediction.proto']),
    'hotloop.v1.PredictionService',
  );
  stack.defer(() => client.close());
  const framed = stack.use(
    new FramedClient<PredictItem, PredictReplyItem__Output>({
      name: 'preprocessor',
      open: () => client.predictStream(channel.metadata()),
    }),
  );
  const metadata = channel.metadata();
  return {
    ...{ inference, decision, service, framed, compute, history },
    predict: (request: PredictRequest, timeoutMs = 5000) =>
      new Promise<PredictReply__Output>((resolve, reject) => {
        client.predict(request, metadata, withDeadline(timeoutMs), (error, reply) =>
          error ? reject(fromStatus(error)) : resolve(reply as PredictReply__Output),
        );
      }),
    predictAs: (request: PredictRequest, token: string) =>
      new Promise<PredictReply__Output>((resolve, reject) => {
        const own = channel.metadata();
        own.set('authorization', `Bearer ${token}`);
        client.predict(request, own, withDeadline(10_000), (error, reply) =>
          error ? reject(fromStatus(error)) : resolve(reply as PredictReply__Output),
        );
      }),
    /** Sends the bytes as a PredictRequest. */
    predictBytes: (bytes: Buffer) =>
      new Promise<unknown>((resolve, reject) => {
        const { path } = client.predict as unknown as MethodDefinition<unknown, unknown>;
        const same = (given: Buffer) => given;
        client.makeUnaryRequest(path, same, same, bytes, metadata, withDeadline(10_000), (error, reply) =>
          error ? reject(fromStatus(error)) : resolve(reply),
        );
      }),
    predictBatch: (requests: PredictRequest[]) =>
      new Promise<PredictBatchReply__Output>((resolve, reject) => {
        client.predictBatch({ requests }, metadata, withDeadline(5000), (error, reply) =>
          error ? reject(fromStatus(error)) : resolve(reply as PredictBatchReply__Output),
        );
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const plain = (price: number): PredictRequest => ({ model: 'plain', request: { price: { number: price } } });

async function refusal(promise: Promise<unknown>): Promise<HotloopError> {
  const error = await promise.then(
    () => new Error('nothing was refused'),
    (reason: unknown) => reason,
  );
  if (error instanceof HotloopError) return error;
  throw error;
}

describe('IntakeService over gRPC', () => {
  it('accepts events message by message, and reports rejected ones with their position', async () => {
    await using opened = await open();
    const channel = openChannel(opened.service.address);
    const intake = openServiceClient<IntakeServiceClient>(
      channel,
      loadDefinitions(['hotloop/v1/intake.proto']),
      'hotloop.v1.IntakeService',
    );
    const call = intake.ingestEvents(channel.metadata(), withDeadline(20_000));
    const answers = (call as AsyncIterable<IngestEventsReply__Output>)[Symbol.asyncIterator]();
    const event = (id: string, time: string) => ({
      ...{ id, source: '/test', type: 'view', time, entities: { user: 'u1' } },
      fields: { price: { number: 2 } },
    });
    const now = new Date().toISOString();
    call.write({ events: [event('a', now), event('b', 'yesterday'), event('c', now)] });
    expect((await answers.next()).value).toMatchObject({
      accepted: 2,
      refused: [{ index: 1, failure: { code: 3, reason: 'malformed_event' } }],
    });
    call.write({ events: [event('a', now)] });
    expect((await answers.next()).value).toMatchObject({ accepted: 1, refused: [] });
    call.end();
    expect((await answers.next()).done).toBe(true);
    const read = { entity: 'user', entityId: 'u1', event: 'view', sinceMs: 0, limit: 9, fields: true };
    expect((await opened.history.read([read])).flatMap(eventsOf).map(({ fields }) => fields.price)).toEqual([
      2, 2,
    ]);
    intake.close();
  });
});

describe('PredictionService over gRPC', () => {
  it('answers one prediction with its id, version, decision and feature statuses', async () => {
    await using opened = await open();
    const reply = await opened.predict({
      model: 'plain',
      entities: { user: 'u1' },
      request: { price: { number: 2 }, month: { text: 'Feb' }, weekend: { flag: true } },
      wantFeatureStatuses: true,
    });
    expect(reply).toMatchObject({ model: 'plain', version: 1, variant: 'live', degraded: [] });
    expect(reply.predictionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(reply.decision?.score).toBeCloseTo(logistic([2, 0, 1, 1]), 6);
    expect(reply.featureStatuses.map(({ status }) => status)).toEqual(['FRESH', 'FRESH', 'FRESH']);
    expect(opened.inference.items[0]).toMatchObject({ entities: { user: 'u1' }, rows: 1, columns: 4 });
  });

  it('passes candidates through compute and postprocessor and back', async () => {
    await using opened = await open();
    const candidates = [3, 1, 2].map((price) => ({
      id: `p${price}`,
      attributes: { price: { number: price } },
    }));
    const reply = await opened.predict({ model: 'ranker', candidates });
    expect(reply.decision?.ranked.map(({ id, rank }) => [id, rank])).toEqual([
      ['p3', 1],
      ['p2', 2],
      ['p1', 3],
    ]);
    expect(opened.decision.items[0]?.candidates[0]?.attributes.price).toBe(3);
  });

  it('answers a batch in order; a failed item does not affect the others', async () => {
    await using opened = await open();
    const { results } = await opened.predictBatch([plain(1), { model: 'nobody' }, plain(3)]);
    expect(results.map(({ result }) => result)).toEqual(['reply', 'failure', 'reply']);
    expect(results[1]?.failure).toMatchObject({ code: 5 });
    expect(results[2]?.reply?.decision?.score).toBeCloseTo(logistic([3, 1, 0, 0]), 6);
  });

  it('answers hundreds of predictions over one stream, each with its own answer', async () => {
    await using opened = await open();
    await opened.framed.ready(5000);
    const scores = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const reply = await opened.framed.call({ request: plain(index / 100) }, { timeoutMs: 10_000 });
        return reply.reply?.decision?.score;
      }),
    );
    for (const [index, score] of scores.entries())
      expect(score).toBeCloseTo(logistic([Math.fround(index / 100), 1, 0, 0]), 5);
  });

  it('answers tokens of an issuer by role, model and project, and follows its renewed keys', async () => {
    await using issuer = await startIssuer();
    await using ring = await openKeyring({ list: async () => [] }, silentLog(), {
      ...{ apiKeys: undefined, tokens: createJwtVerifier(issuer.settings), now: () => NOW },
      projects: { list: async () => [{ name: 'shop', perSecond: 1 }] },
    });
    await using opened = await open({ authenticator: ring });
    const ask = async (claims: Record<string, unknown>, model = 'plain') =>
      opened.predictAs(
        { ...plain(1), model },
        await issuer.sign({ realm: { roles: ['predict'] }, ...claims }),
      );
    expect((await ask({})).model).toBe('plain');
    expect(opened.inference.items.at(-1)).toMatchObject({ caller: 'ada' });
    const refusals: [() => Promise<unknown>, string, string][] = [
      [() => ask({ exp: Math.floor(Date.now() / 1000) - 60 }), 'UNAUTHENTICATED', 'expired_token'],
      [() => ask({ aud: 'another' }), 'UNAUTHENTICATED', 'invalid_token'],
      [() => ask({ realm: { roles: ['operate'] } }), 'PERMISSION_DENIED', 'missing_role'],
      [() => ask({ hotloop_models: ['ranker'] }), 'PERMISSION_DENIED', 'model_not_in_scope'],
      [() => ask({ hotloop_project: 'shop' }), 'PERMISSION_DENIED', 'model_not_in_scope'],
      [() => ask({ hotloop_project: 'nobody' }), 'PERMISSION_DENIED', 'unknown_project'],
      [() => ask({ hotloop_project: 7 }), 'UNAUTHENTICATED', 'invalid_token'],
      [() => opened.predict(plain(1)), 'UNAUTHENTICATED', 'missing_api_key'],
    ];
    for (const [asked, code, reason] of refusals)
      expect(await refusal(asked())).toMatchObject({ code, reason });
    // All callers of a project share its quota: the first takes it, whatever becomes of the prediction.
    const inShop = () => refusal(ask({ hotloop_project: 'shop', sub: crypto.randomUUID() }, 'shop-none'));
    expect(await inShop()).toMatchObject({ code: 'NOT_FOUND' });
    expect(await inShop()).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'quota' });
    await issuer.rotate();
    await expect.poll(() => ask({}).then(({ model }) => model, String), { timeout: 20_000 }).toBe('plain');
  });

  it('checks the model that counts where the bytes of a request name two', async () => {
    const caller: Caller = { subject: 'ada', roles: new Set(['predict']), models: new Set(['plain']) };
    await using opened = await open({ authenticator: { required: true, authenticate: () => caller } });
    /** A PredictRequest of these models and nothing else: field 1, a text. */
    const naming = (...models: string[]) =>
      Buffer.concat(models.map((model) => Buffer.from(`\n${String.fromCharCode(model.length)}${model}`)));
    const denied = { code: 'PERMISSION_DENIED', reason: 'model_not_in_scope' };
    const refusals: [Buffer, object][] = [
      [naming('plain', 'ranker'), denied],
      [naming('ranker', 'plain'), denied],
      [naming('plain', 'plain'), { code: 'INVALID_ARGUMENT', reason: 'missing_feature' }],
      [Buffer.from('garbage'), { code: 'INVALID_ARGUMENT', reason: 'malformed_request' }],
    ];
    for (const [bytes, expected] of refusals)
      expect(await refusal(opened.predictBytes(bytes)), JSON.stringify(bytes.toString())).toMatchObject(
        expected,
      );
    expect(opened.inference.items).toEqual([]);
  });

  it('says when to retry after a refusal caused by other load, for calls and streams', async () => {
    await using opened = await open({ limits: { maxInFlight: 0, maxCellsInFlight: 1 } });
    await opened.framed.ready(5000);
    const told = { code: 'RESOURCE_EXHAUSTED', reason: 'too_many_in_flight', retryAfterMs: 100 };
    expect(await refusal(opened.predict(plain(1)))).toMatchObject(told);
    // What is refused because of load is not decoded, so nothing is said about bytes that cannot be read.
    expect(await refusal(opened.predictBytes(Buffer.from('\n\u0005plain\u000f')))).toMatchObject(told);
    expect(await refusal(opened.framed.call({ request: plain(1) }, { timeoutMs: 5000 }))).toMatchObject(told);
  });

  it('fails one item of a stream with its code, and answers the others', async () => {
    await using opened = await open();
    const bad = refusal(opened.framed.call({ request: { model: 'plain' } }, { timeoutMs: 5000 }));
    const good = opened.framed.call({ request: plain(1) }, { timeoutMs: 5000 });
    expect(await bad).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'missing_feature' });
    expect((await bad).message).toContain('price');
    expect((await good).reply?.version).toBe(1);
  });

  it('ends a prediction at its deadline when compute does not answer, and cancels it there', async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    opened.inference.hold = gate.promise;
    expect((await refusal(opened.predict(plain(1), 1000))).code).toBe('DEADLINE_EXCEEDED');
    await expect.poll(() => opened.inference.abandoned).toHaveLength(1);
    gate.resolve();
  });

  it('ends one item of a batch at its own timeout, and not the others', async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    opened.inference.hold = gate.promise;
    const answering = opened.predictBatch([{ ...plain(1), timeoutMs: 1000 }, plain(2)]);
    await expect.poll(() => opened.inference.items.length).toBe(2);
    const [hurried, patient] = opened.inference.items;
    expect(hurried?.timeoutMs).toBeLessThanOrEqual(1000);
    expect(patient?.timeoutMs).toBeGreaterThan(1000);
    await expect.poll(() => opened.inference.abandoned).toEqual([hurried?.predictionId]);
    gate.resolve();
    const { results } = await answering;
    expect(results.map(({ result }) => result)).toEqual(['failure', 'reply']);
    expect(results[0]?.failure).toMatchObject({ code: 4 });
  });

  it('rejects a batch above the limit', async () => {
    await using opened = await open();
    const error = await refusal(opened.predictBatch(Array.from({ length: 4097 }, () => plain(1))));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('4096')]);
  });

  it('answers UNAVAILABLE without naming an address while compute cannot be reached', async () => {
    await using opened = await open();
    await opened.compute[Symbol.asyncDispose]();
    const error = await refusal(opened.predict(plain(1)));
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).not.toMatch(/127\.0\.0\.1|\d{4,5}/);
  });

  it('requires an API key if keys are configured, and logs its subject', async () => {
    const apiKeys = 'a-key-of-enough-length:web-shop:predict,another-key-long-enough:ops:operate';
    await using anonymous = await open({ apiKeys });
    expect((await refusal(anonymous.predict(plain(1)))).code).toBe('UNAUTHENTICATED');
    await using known = await open({ apiKeys, apiKey: 'a-key-of-enough-length' });
    await known.predict(plain(1));
    expect(known.inference.items[0]?.caller).toBe('web-shop');
    await using other = await open({ apiKeys, apiKey: 'another-key-long-enough' });
    expect((await refusal(other.predict(plain(1)))).code).toBe('PERMISSION_DENIED');
  });

  it('answers predictions in flight when it drains, and accepts no new ones', async () => {
    await using opened = await open();
    const gate = Promise.withResolvers<void>();
    opened.inference.hold = gate.promise;
    const waiting = opened.predict(plain(1));
    await expect.poll(() => opened.inference.items.length).toBe(1);
    const closed = opened.service[Symbol.asyncDispose]();
    gate.resolve();
    expect((await waiting).version).toBe(1);
    await closed;
    expect((await refusal(opened.predict(plain(1)))).code).toBe('UNAVAILABLE');
  });
});
