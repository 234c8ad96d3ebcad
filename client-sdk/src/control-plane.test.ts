import { createHash } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { HotloopClient } from './hotloop-client.ts';
import type { HotloopClientError } from './hotloop-client-error.ts';
import { startFakeFrontDoor } from './testing/fake-front-door.ts';

type Done = (error: unknown, reply?: unknown) => void;

interface StreamedCall<Message> {
  readonly request: Message;
  readonly metadata: Metadata;
  write(message: unknown): void;
  end(): void;
  emit(event: 'error', error: unknown): void;
  on(event: string, listener: (...args: never[]) => void): void;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const run = (state: string, progress = 0) => ({ runId: 'r1', model: 'm', state, progress, version: 2 });

describe('outcomes', () => {
  it('gives every report an id, and returns the result of each', async () => {
    const seen: { id: string; value?: { number?: number }; occurredAt: string }[] = [];
    await using door = await startFakeFrontDoor({
      others: {
        FeedbackService: {
          RecordOutcomes: (call: { request: { outcomes: typeof seen } }, done: Done) => {
            seen.push(...call.request.outcomes);
            const [first, second] = call.request.outcomes;
            done(null, {
              accepted: 1,
              results: [
                { id: first?.id, status: 'accepted' },
                ...(second
                  ? [
                      {
                        id: second.id,
                        status: 'refused',
                        failure: { code: 3, message: 'no value', reason: 'missing_value' },
                      },
                    ]
                  : []),
              ],
            });
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    const occurredAt = new Date('2026-01-02T03:04:05.000Z');
    await client.recordOutcome({ model: 'm', predictionId: 'p', value: 1, occurredAt });
    expect(seen[0]).toMatchObject({ value: { number: 1 }, occurredAt: '2026-01-02T03:04:05.000Z' });
    expect(seen[0]!.id).toMatch(/^[0-9a-f-]{36}$/);
    const results = await client.recordOutcomes([
      { model: 'm', value: 1, id: 'a' },
      { model: 'm', id: 'b' },
    ]);
    expect(results.map(({ status }) => status)).toEqual(['accepted', 'refused']);
    expect(results[1]!.error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'missing_value' });
  });
});

describe('events and tables', () => {
  it('sends events message by message, and reports rejected ones with their overall position', async () => {
    const messages: { events: { type: string; id: string; entities: object }[] }[] = [];
    await using door = await startFakeFrontDoor({
      others: {
        IntakeService: {
          IngestEvents: (call: StreamedCall<never>) => {
            call.on('data', ((message: (typeof messages)[number]) => {
              messages.push(message);
              const refused = [{ index: 0, failure: { code: 3, message: 'time: lies ahead', reason: 'r' } }];
              call.write({ accepted: message.events.length - 1, refused });
            }) as never);
            call.on('end', () => call.end());
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address });
    const events = Array.from({ length: 1500 }, () => ({ type: 'view', entities: { user: 'u1' } }));
    const { accepted, refused } = await client.sendEvents(events);
    expect(messages.map(({ events: sent }) => sent.length)).toEqual([1000, 500]);
    expect(messages[0]?.events[0]).toMatchObject({ type: 'view', entities: { user: 'u1' } });
    expect(accepted).toBe(1498);
    expect(refused.map(({ index }) => index)).toEqual([0, 1000]);
    expect(refused[0]?.error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'r' });
  });

  it('uploads a table in chunks and reports rejected rows', async () => {
    const parts: { header?: object; chunk?: Buffer }[] = [];
    await using door = await startFakeFrontDoor({
      others: {
        IntakeService: {
          DeclareTable: (_call: never, done: Done) => done(null, {}),
          UploadTable: (call: StreamedCall<never>, done: Done) => {
            call.on('data', ((part: (typeof parts)[number]) => parts.push(part)) as never);
            call.on('end', () =>
              done(null, {
                table: 't',
                version: 2,
                rows: 9,
                refused: 1,
                refusedRows: [{ line: 3, problem: 'p' }],
              }),
            );
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address });
    await client.tables.declare('t', { key: 'id', columns: { age: { type: 'number' } } });
    const progress: number[] = [];
    const file = new Uint8Array(300_000).fill(65);
    const uploaded = await client.tables.upload('t', file, {
      ...{ type: 'text/csv', maxRefused: 1, onProgress: (bytes: number) => progress.push(bytes) },
    });
    expect(uploaded).toMatchObject({ version: 2, rows: 9, refusedRows: [{ line: 3, problem: 'p' }] });
    expect(parts[0]).toMatchObject({ header: { table: 't', contentType: 'text/csv', maxRefused: 1 } });
    expect(Buffer.concat(parts.slice(1).map(({ chunk }) => chunk as Buffer))).toEqual(Buffer.from(file));
    expect(progress.at(-1)).toBe(300_000);
  });
});

describe('models', () => {
  it('uploads the header and then the bytes in chunks, reporting progress', async () => {
    const onnx = new Uint8Array(600_000).map((_, index) => index % 251);
    const received: Buffer[] = [];
    let header: Record<string, unknown> = {};
    await using door = await startFakeFrontDoor({
      others: {
        RegistryService: {
          PushModel: (call: StreamedCall<never>, done: Done) => {
            call.on('data', ((message: { header?: Record<string, unknown>; chunk?: Buffer }) => {
              if (message.header) header = message.header;
              if (message.chunk) received.push(message.chunk);
            }) as never);
            call.on('end', () => done(null, { version: { model: 'm', version: 3 }, created: true }));
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    const push = client.models.push({ onnx, manifestYaml: 'name: m', note: 'why' });
    const steps: number[] = [];
    for await (const { sentBytes, totalBytes } of push) steps.push(sentBytes / totalBytes);
    const { version, created } = await push.finished();
    expect([version.version, created, steps.at(-1)]).toEqual([3, true, 1]);
    expect(steps.length).toBeGreaterThan(1);
    expect(Buffer.concat(received).equals(onnx)).toBe(true);
    expect(header).toMatchObject({
      manifestYaml: 'name: m',
      onnxBytes: 600_000,
      onnxSha256: createHash('sha256').update(onnx).digest('hex'),
      note: 'why',
    });
  });

  it('throws the error of an upload that ends early, iterated or not', async () => {
    await using door = await startFakeFrontDoor({
      others: {
        RegistryService: {
          PushModel: (_call: StreamedCall<never>, done: Done) =>
            done({ code: 3, details: 'features.0.from: must be request.X' }),
        },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    const push = client.models.push({ onnx: new Uint8Array(4_000_000), manifestYaml: 'name: m' });
    await expect(push.finished()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(collect(push)).rejects.toThrow(/features\.0\.from/);
  });

  it('follows a promotion step by step, and fails when it ends anywhere but live', async () => {
    let last = 'live';
    await using door = await startFakeFrontDoor({
      others: {
        RegistryService: {
          Promote: (call: StreamedCall<{ version: number }>) => {
            for (const state of ['loading', 'ready', last])
              call.write({ state, message: `${state}!`, toVersion: call.request.version });
            call.end();
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    const promotion = client.models.promote('m', 2);
    const states = (await collect(promotion)).map(({ state }) => state);
    expect(states).toEqual(['loading', 'ready', 'live']);
    expect(await promotion.finished()).toMatchObject({ state: 'live', toVersion: 2 });
    last = 'failed';
    await expect(client.models.promote('m', 2).finished()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'promotion_failed',
      message: 'failed!',
    });
  });
});

describe('runs', () => {
  it('uses the same key for every retry', async () => {
    const keys: string[] = [];
    await using door = await startFakeFrontDoor({
      others: {
        JobService: {
          Retrain: (call: { request: { key: string } }, done: Done) => {
            keys.push(call.request.key);
            if (keys.length < 3) done({ code: 14, details: 'later' });
            else done(null, { runId: 'r1', created: true });
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    expect(await client.retrain('m')).toEqual({ runId: 'r1', created: true });
    expect(new Set(keys).size).toBe(1);
    expect(keys).toHaveLength(3);
  });

  it('watches a run to its end; leaving early cancels the watch', async () => {
    let cancelled = false;
    await using door = await startFakeFrontDoor({
      others: {
        JobService: {
          WatchRun: (call: StreamedCall<{ runId: string }>) => {
            for (const state of ['requested', 'training', 'succeeded']) call.write(run(state));
            if (call.request.runId === 'r1') call.end();
            call.on('cancelled', () => {
              cancelled = true;
            });
          },
        },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    const states = (await collect(client.runs.watch('r1'))).map(({ state }) => state);
    expect(states).toEqual(['requested', 'training', 'succeeded']);
    for await (const { state } of client.runs.watch('r2')) if (state === 'training') break;
    await expect.poll(() => cancelled).toBe(true);
  });

  it('reports an unknown run by its code', async () => {
    await using door = await startFakeFrontDoor({
      others: {
        JobService: { GetRun: (_call: unknown, done: Done) => done({ code: 5, details: 'no run r9' }) },
      },
    });
    await using client = new HotloopClient({ address: door.address, retrainerAddress: door.address });
    const error = await client.runs.get('r9').catch((thrown: HotloopClientError) => thrown);
    expect(error).toMatchObject({ code: 'NOT_FOUND', message: 'no run r9', predictionId: '' });
  });
});
