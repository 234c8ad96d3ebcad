import { status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { connect, HotloopClient } from './hotloop-client.ts';
import type { HotloopClientError } from './hotloop-client-error.ts';
import { echoScore, startFakeFrontDoor } from './testing/fake-front-door.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function failureOf(promise: Promise<unknown>): Promise<HotloopClientError> {
  return promise.then(
    () => expect.unreachable('it should have failed'),
    (error: HotloopClientError) => error,
  );
}

describe('HotloopClient.predict', () => {
  for (const transport of ['stream', 'unary'] as const) {
    describe(`over ${transport}`, () => {
      it('sends the request and returns the typed answer', async () => {
        await using door = await startFakeFrontDoor();
        await using client = new HotloopClient({ address: door.address, transport, apiKey: 'secret' });
        const prediction = await client.predict('churn', {
          user: 'u1',
          entities: { account: 'a1' },
          request: { value: 0.25, plan: 'pro', trial: false, days: [1, 2], tags: ['a'], absent: null },
          candidates: [{ id: 'p1', price: 3 }],
          version: 2,
        });
        expect(prediction).toMatchObject({
          model: 'churn',
          version: 1,
          label: 'yes',
          score: 0.25,
          ranked: [],
        });
        const [request] = door.requests;
        expect(request).toMatchObject({
          model: 'churn',
          version: '2',
          entities: { user: 'u1', account: 'a1' },
        });
        expect(Object.keys(request!.request)).toEqual(['value', 'plan', 'trial', 'days', 'tags']);
        expect(request!.request.days?.numbers?.values).toEqual([1, 2]);
        expect(request!.candidates).toMatchObject([{ id: 'p1', attributes: { price: { number: 3 } } }]);
        expect(request!.predictionId).toMatch(UUID_V7);
        expect(request!.timeoutMs).toBeGreaterThan(0);
        expect(prediction.predictionId).toBe(request!.predictionId);
        expect(door.authorizations).toEqual(['Bearer secret']);
      });

      it('fails with code, reason and message of the service, and the prediction id', async () => {
        const failure = { code: 3, message: 'feature price is missing', reason: 'missing_feature' };
        await using door = await startFakeFrontDoor({ answer: () => ({ failure }) });
        await using client = new HotloopClient({ address: door.address, transport });
        const error = await failureOf(client.predict('churn'));
        expect(error).toMatchObject({
          name: 'HotloopClientError',
          code: 'INVALID_ARGUMENT',
          reason: 'missing_feature',
          message: 'feature price is missing',
        });
        expect(error.predictionId).toMatch(UUID_V7);
        expect(door.requests).toHaveLength(1);
      });

      it('gives up when the deadline passes', async () => {
        await using door = await startFakeFrontDoor({ answer: () => 'never' });
        await using client = new HotloopClient({ address: door.address, transport });
        const error = await failureOf(client.predict('churn', {}, { timeoutMs: 80 }));
        expect(error.code).toBe('DEADLINE_EXCEEDED');
      });

      it('ends a call whose signal fires', async () => {
        const arrived = Promise.withResolvers<void>();
        await using door = await startFakeFrontDoor({
          answer: () => {
            arrived.resolve();
            return 'never';
          },
        });
        await using client = new HotloopClient({ address: door.address, transport });
        const controller = new AbortController();
        const failure = failureOf(client.predict('churn', {}, { signal: controller.signal }));
        await arrived.promise;
        controller.abort();
        expect((await failure).code).toBe('CANCELLED');
      });

      it('retries UNAVAILABLE with the same prediction id', async () => {
        let attempts = 0;
        await using door = await startFakeFrontDoor({
          answer: (request) =>
            ++attempts < 3 ? { failure: { code: 14, message: 'later', reason: '' } } : echoScore(request),
        });
        await using client = new HotloopClient({ address: door.address, transport });
        await client.predict('churn');
        expect(door.requests).toHaveLength(3);
        expect(new Set(door.requests.map(({ predictionId }) => predictionId)).size).toBe(1);
      });

      it('does not retry RESOURCE_EXHAUSTED unless told to', async () => {
        let refusals = 1;
        await using door = await startFakeFrontDoor({
          answer: (request) =>
            refusals-- > 0 ? { failure: { code: 8, message: 'full', reason: '' } } : echoScore(request),
        });
        await using patient = new HotloopClient({
          address: door.address,
          transport,
          retry: { whenExhausted: true },
        });
        await using client = new HotloopClient({ address: door.address, transport });
        expect((await failureOf(client.predict('churn'))).code).toBe('RESOURCE_EXHAUSTED');
        expect(door.requests).toHaveLength(1);
        refusals = 1;
        await patient.predict('churn');
        expect(door.requests).toHaveLength(3);
      });
    });
  }

  it('rejects an attribute that cannot be encoded, naming it', async () => {
    await using client = new HotloopClient({ address: '127.0.0.1:1' });
    const bad = { price: { amount: 3 } } as unknown as Record<string, number>;
    const error = await failureOf(client.predict('churn', { request: bad }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'invalid_attribute' });
    expect(error.message).toContain('request.price');
  });

  it('says so when nothing answers at the address', async () => {
    await using door = await startFakeFrontDoor();
    door.kill();
    const error = await failureOf(connect({ address: door.address, timeoutMs: 300 }));
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).toContain('hotloop up');
  });

  it('rejects invalid options, naming the option', () => {
    expect(() => new HotloopClient({ address: 'nowhere' })).toThrow(/address must be host:port/);
    expect(() => new HotloopClient({ timeoutMs: 0 })).toThrow(/timeoutMs/);
  });
});

describe('the stream', () => {
  it('sends the requests of one turn in one frame, and matches every answer to its request', async () => {
    await using door = await startFakeFrontDoor({
      answer: async (request) => {
        // Later requests are answered first.
        const value = request.request.value?.number ?? 0;
        for (let turn = 0; turn < 200 - value; turn += 1) await null;
        return echoScore(request);
      },
    });
    await using client = new HotloopClient({ address: door.address });
    await client.predict('churn', { request: { value: 0 } });
    door.frames.length = 0;
    const values = Array.from({ length: 200 }, (_, value) => value);
    const answers = await Promise.all(values.map((value) => client.predict('churn', { request: { value } })));
    expect(answers.map(({ score }) => score)).toEqual(values);
    expect(door.frames).toEqual([200]);
    expect(door.streams()).toBe(1);
  });

  it('answers everything when the server dies mid-stream and is restarted, each prediction under one id', async () => {
    const held: (() => void)[] = [];
    const first = await startFakeFrontDoor({
      answer: async (request) => {
        if (request.request.value!.number! % 2 === 0) return echoScore(request);
        await new Promise<void>((resolve) => held.push(resolve));
        return 'never';
      },
    });
    await using client = new HotloopClient({
      address: first.address,
      timeoutMs: 20_000,
      retry: { attempts: 50 },
    });
    const values = Array.from({ length: 40 }, (_, value) => value);
    const answers = values.map((value) => client.predict('churn', { request: { value } }));
    await Promise.all(answers.filter((_, value) => value % 2 === 0));
    first.kill();
    await using second = await startFakeFrontDoor({ port: first.port });
    expect((await Promise.all(answers)).map(({ score }) => score)).toEqual(values);
    const before = new Set(first.requests.map(({ predictionId }) => predictionId));
    expect(before.size).toBe(40);
    expect(second.requests).toHaveLength(20);
    for (const { predictionId } of second.requests) expect(before).toContain(predictionId);
  });

  it('survives a restart of the preprocessor, at the cost of one retry per prediction', async () => {
    const first = await startFakeFrontDoor({ answer: echoScore });
    await using client = new HotloopClient({ address: first.address, retry: { attempts: 2 } });
    await client.predict('churn', { request: { value: 0 } });
    first.kill();
    const answers = Array.from({ length: 20 }, (_, value) => client.predict('churn', { request: { value } }));
    const error = await failureOf(client.predict('churn', {}, { timeoutMs: 300 }));
    expect(error.code).toBe('UNAVAILABLE');
    await using _second = await startFakeFrontDoor({ port: first.port });
    expect((await Promise.all(answers)).map(({ score }) => score)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  it('does not retry errors that another stream would get as well', async () => {
    await using door = await startFakeFrontDoor({ answer: () => 'never' });
    await using client = new HotloopClient({ address: door.address });
    const failure = failureOf(client.predict('churn'));
    await expect.poll(() => door.requests.length).toBe(1);
    door.breakStreams(status.UNAUTHENTICATED);
    expect((await failure).code).toBe('UNAUTHENTICATED');
    expect(door.streams()).toBe(1);
  });

  it('moves to another stream when asked to, and loses nothing', async () => {
    const held: (() => void)[] = [];
    await using door = await startFakeFrontDoor({
      answer: async (request) => {
        if (request.request.value?.number === 1) await new Promise<void>((resolve) => held.push(resolve));
        return echoScore(request);
      },
    });
    await using client = new HotloopClient({ address: door.address, retry: { attempts: 1 } });
    const slow = client.predict('churn', { request: { value: 1 } });
    await expect.poll(() => held.length).toBe(1);
    door.drainStreams();
    await expect
      .poll(async () => {
        await client.predict('churn', { request: { value: 2 } });
        return door.streams();
      })
      .toBe(2);
    for (const release of held) release();
    expect((await slow).score).toBe(1);
  });

  it('notifies the server of cancelled predictions', async () => {
    await using door = await startFakeFrontDoor({ answer: () => 'never' });
    await using client = new HotloopClient({ address: door.address });
    const controller = new AbortController();
    const failure = failureOf(client.predict('churn', {}, { signal: controller.signal }));
    await expect.poll(() => door.requests.length).toBe(1);
    controller.abort();
    await failure;
    await expect.poll(() => door.cancelled.length).toBe(1);
  });

  it('keeps at most maxInFlight unanswered, lets the rest wait, and rejects beyond maxWaiting', async () => {
    const held: (() => void)[] = [];
    let running = 0;
    let most = 0;
    await using door = await startFakeFrontDoor({
      answer: async (request) => {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => held.push(resolve));
        running -= 1;
        return echoScore(request);
      },
    });
    await using client = new HotloopClient({ address: door.address, maxInFlight: 4, maxWaiting: 6 });
    const accepted = Array.from({ length: 10 }, (_, value) =>
      client.predict('churn', { request: { value } }),
    );
    const refused = await failureOf(client.predict('churn'));
    expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'client_queue_full' });
    let answered = 0;
    for (const answer of accepted) void answer.then(() => (answered += 1));
    await expect
      .poll(() => {
        for (const release of held.splice(0)) release();
        return answered;
      })
      .toBe(10);
    expect(most).toBe(4);
  });

  it('completes calls in flight before it closes, and rejects later ones', async () => {
    const held: (() => void)[] = [];
    await using door = await startFakeFrontDoor({
      answer: async (request) => {
        await new Promise<void>((resolve) => held.push(resolve));
        return echoScore(request);
      },
    });
    const client = new HotloopClient({ address: door.address });
    const answer = client.predict('churn', { request: { value: 7 } });
    await expect.poll(() => held.length).toBe(1);
    const closed = client.close();
    expect((await failureOf(client.predict('churn'))).code).toBe('CANCELLED');
    held[0]!();
    expect((await answer).score).toBe(7);
    await closed;
    await client.close();
  });
});

describe('HotloopClient.predictBatch', () => {
  it('answers in the order of the requests; a failed item does not affect the others', async () => {
    await using door = await startFakeFrontDoor({
      answer: (request) =>
        request.request.value?.number === 1
          ? { failure: { code: 3, message: 'bad', reason: 'bad_value' } }
          : echoScore(request),
    });
    await using client = new HotloopClient({ address: door.address });
    const results = await client.predictBatch(
      'churn',
      [0, 1, 2].map((value) => ({ request: { value } })),
    );
    expect(results.map((result) => (result.ok ? result.prediction.score : result.error.code))).toEqual([
      0,
      'INVALID_ARGUMENT',
      2,
    ]);
  });
});
