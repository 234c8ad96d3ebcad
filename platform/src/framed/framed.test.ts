import { Client, type ClientDuplexStream, type ServiceDefinition } from '@grpc/grpc-js';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { DecideItem, DecideItem__Output } from '@hotloop/proto/gen/hotloop/v1/DecideItem.ts';
import type {
  DecideReplyItem,
  DecideReplyItem__Output,
} from '@hotloop/proto/gen/hotloop/v1/DecideReplyItem.ts';
import { describe, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { openChannel } from '../grpc/client.ts';
import type { ItemContext } from '../grpc/item-context.ts';
import { type GrpcServer, startGrpcServer } from '../grpc/server.ts';
import { silentLog } from '../log.ts';
import type { Frame, ReplyFrame } from './frame.ts';
import { FramedClient, type FramedClientOptions } from './framed-client.ts';
import { type FramedHandlerOptions, framedHandler } from './served/framed-server.ts';

const definitions = loadDefinitions(['hotloop/v1/decision.proto']);
const SERVICE = 'hotloop.v1.DecisionService';
const method = (definitions[SERVICE] as ServiceDefinition).DecideStream!;

type Handle = (item: DecideItem__Output, context: ItemContext) => Promise<DecideReplyItem>;
type TestClient = FramedClient<DecideItem, DecideReplyItem__Output>;

function startServer(
  handle: Handle,
  options: Partial<FramedHandlerOptions<DecideItem__Output, DecideReplyItem>> = {},
  address = '127.0.0.1:0',
): Promise<GrpcServer> {
  const DecideStream = framedHandler<DecideItem__Output, DecideReplyItem>({
    handle,
    timeoutMsOf: (item) => item.request?.timeoutMs ?? 0,
    ...options,
  });
  return startGrpcServer({
    services: [{ name: SERVICE, handlers: { DecideStream } }],
    definitions,
    address,
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
  });
}

/** A client, and the frames that it has sent. */
function connect(
  address: string,
  options: Partial<FramedClientOptions<DecideItem, DecideReplyItem__Output>> & { onOpen?: () => void } = {},
): TestClient & { readonly frames: Frame<DecideItem>[] } {
  const channel = openChannel(address);
  const client = new Client(channel.address, channel.credentials, channel.options);
  const frames: Frame<DecideItem>[] = [];
  const framed = new FramedClient<DecideItem, DecideReplyItem__Output>({
    name: 'the server',
    open() {
      options.onOpen?.();
      const stream = client.makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        channel.metadata(),
      ) as ClientDuplexStream<Frame<DecideItem>, ReplyFrame<DecideReplyItem__Output>>;
      const write = stream.write.bind(stream) as (frame: Frame<DecideItem>) => boolean;
      stream.write = ((frame: Frame<DecideItem>) => {
        frames.push(frame);
        return write(frame);
      }) as typeof stream.write;
      return stream;
    },
    setTimeoutMs: (item, timeoutMs) => {
      if (item.request) item.request.timeoutMs = timeoutMs;
    },
    maxBackoffMs: 100,
    ...options,
  });
  return Object.assign(framed, { frames });
}

const item = (label: string): DecideItem => ({ request: { model: label } });
const echo: Handle = async (received) => ({ decision: { label: received.request?.model ?? '' } });
const labelOf = (reply: DecideReplyItem__Output) => reply.decision?.label;

describe('a framed client and server', () => {
  it('match every answer to its call, also when answers arrive in another order', async () => {
    let countdown = 300;
    await using server = await startServer(async (received) => {
      // Later items are answered first.
      const turns = countdown--;
      for (let i = 0; i < turns % 7; i++) await new Promise((resolve) => setImmediate(resolve));
      return { decision: { label: received.request?.model ?? '' } };
    });
    await using client = connect(server.address, { streams: 2 });
    const labels = Array.from({ length: 300 }, (_, i) => `m${i}`);
    const replies = await Promise.all(labels.map((label) => client.call(item(label), { timeoutMs: 5000 })));
    expect(replies.map(labelOf)).toEqual(labels);
    expect(client.inFlight).toBe(0);
  });

  it('send the calls of one turn in one frame, limited by count', async () => {
    await using server = await startServer(echo);
    await using client = connect(server.address, { maxFrameItems: 64 });
    await client.ready(5000);
    await Promise.all(Array.from({ length: 100 }, (_, i) => client.call(item(`m${i}`), { timeoutMs: 5000 })));
    expect(client.frames.map((frame) => frame.items?.length)).toEqual([64, 36]);
  });

  it('fail one item alone, with code, message and reason', async () => {
    await using server = await startServer(async (received, context) => {
      if (received.request?.model === 'bad')
        throw new HotloopError('NOT_FOUND', 'no such model', { reason: 'unknown_model' });
      if (received.request?.model === 'worse') throw new Error('secret detail');
      return echo(received, context);
    });
    await using client = connect(server.address);
    const [good, bad, worse] = await Promise.allSettled(
      ['good', 'bad', 'worse'].map((label) => client.call(item(label), { timeoutMs: 5000 })),
    );
    expect(good).toMatchObject({ status: 'fulfilled' });
    expect(bad).toMatchObject({
      reason: { code: 'NOT_FOUND', message: 'no such model', reason: 'unknown_model' },
    });
    expect(worse).toMatchObject({
      reason: { code: 'INTERNAL', message: expect.not.stringContaining('secret') },
    });
  });

  it('reject more calls than may be in flight', async () => {
    const release = Promise.withResolvers<void>();
    await using server = await startServer(async (received, context) => {
      await release.promise;
      return echo(received, context);
    });
    await using client = connect(server.address, { maxInFlight: 2 });
    const calls = ['a', 'b', 'c'].map((label) => client.call(item(label), { timeoutMs: 5000 }));
    await expect(calls[2]).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    release.resolve();
    expect((await Promise.all(calls.slice(0, 2))).map(labelOf)).toEqual(['a', 'b']);
  });

  it('end a call at its deadline, notify the handler, and never run a call that expired in the queue', async () => {
    const ran: string[] = [];
    const told = Promise.withResolvers<string>();
    await using server = await startServer(
      async (received, context) => {
        ran.push(received.request?.model ?? '');
        if (received.request?.model === 'later') return echo(received, context);
        await new Promise<void>((resolve) =>
          context.signal.addEventListener('abort', () => {
            told.resolve(context.signal.reason.name);
            resolve();
          }),
        );
        throw context.signal.reason;
      },
      { maxRunning: 1 },
    );
    await using client = connect(server.address);
    await client.ready(5000);
    const timeouts = { first: 500, queued: 250 };
    const began = performance.now();
    await Promise.all(
      Object.entries(timeouts).map(async ([label, timeoutMs]) => {
        const call = client.call(item(label), { timeoutMs });
        await expect(call).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
        expect(performance.now() - began).toBeGreaterThanOrEqual(timeoutMs);
      }),
    );
    expect(await told.promise).toBe('TimeoutError');
    // A later item runs once the first has ended, so the queued one must have been dropped by then.
    expect(labelOf(await client.call(item('later'), { timeoutMs: 20_000 }))).toBe('later');
    expect(ran).toEqual(['first', 'later']);
  });

  it('cancel a running item at the server, and never send one that was cancelled before', async () => {
    const started = Promise.withResolvers<void>();
    const told = Promise.withResolvers<string>();
    await using server = await startServer(async (_received, context) => {
      context.signal.addEventListener('abort', () => told.resolve(context.signal.reason.name));
      started.resolve();
      await told.promise;
      return {};
    });
    await using client = connect(server.address);
    await client.ready(5000);
    const controller = new AbortController();
    const call = client.call(item('running'), { timeoutMs: 5000, signal: controller.signal });
    await started.promise;
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await told.promise).toBe('AbortError');

    const early = new AbortController();
    const unsent = client.call(item('unsent'), { timeoutMs: 5000, signal: early.signal });
    early.abort();
    await expect(unsent).rejects.toMatchObject({ code: 'CANCELLED' });
    const sent = client.frames.flatMap((frame) => frame.items ?? []);
    expect(sent.map((each) => each.request?.model)).toEqual(['running']);
  });

  it('fail the calls in flight when the server dies, and continue with the next server', async () => {
    const started = Promise.withResolvers<void>();
    const told = Promise.withResolvers<void>();
    const server = await startServer((_received, context) => {
      context.signal.addEventListener('abort', () => told.resolve());
      started.resolve();
      return new Promise(() => undefined);
    });
    await using client = connect(server.address);
    const lost = client.call(item('lost'), { timeoutMs: 5000 });
    await started.promise;
    await Promise.all([
      expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
      server.drain(0),
      told.promise,
    ]);
    await using _next = await startServer(echo, {}, server.address);
    await client.ready(5000);
    expect(labelOf(await client.call(item('after'), { timeoutMs: 5000 }))).toBe('after');
  });

  it('fail at once while there is no server, instead of waiting for the deadline', async () => {
    const server = await startServer(echo);
    await server.drain(0);
    await using client = connect(server.address, { backoffMs: 60_000, maxBackoffMs: 60_000 });
    const began = performance.now();
    await expect(client.call(item('a'), { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'not_connected',
    });
    await expect(client.call(item('b'), { timeoutMs: 20_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(performance.now() - began).toBeLessThan(5000);
    await expect(client.ready(50)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('stop the handlers of a client that has disconnected', async () => {
    const started = Promise.withResolvers<void>();
    const told = Promise.withResolvers<void>();
    await using server = await startServer(async (_received, context) => {
      context.signal.addEventListener('abort', () => told.resolve());
      started.resolve();
      await told.promise;
      return {};
    });
    const client = connect(server.address);
    const call = client.call(item('a'), { timeoutMs: 60_000 });
    const failed = expect(call).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await started.promise;
    await client.close(0);
    await Promise.all([failed, told.promise]);
  });

  it('answer everything in flight while the server drains, and end the drain early', async () => {
    const release = Promise.withResolvers<void>();
    let running = 0;
    const server = await startServer(async (received, context) => {
      running++;
      await release.promise;
      return echo(received, context);
    });
    await using client = connect(server.address);
    await client.ready(5000);
    const calls = Array.from({ length: 50 }, (_, i) => client.call(item(`m${i}`), { timeoutMs: 10_000 }));
    await expect.poll(() => running).toBe(50);
    const began = performance.now();
    const drained = server.drain(20_000);
    release.resolve();
    expect((await Promise.all(calls)).map(labelOf)).toEqual(calls.map((_, i) => `m${i}`));
    await drained;
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('lose nothing when streams reach their maximum age and are renewed under load', async () => {
    await using server = await startServer(echo, { maxStreamAgeMs: 50 });
    let opened = 0;
    await using client = connect(server.address, { onOpen: () => opened++ });
    await client.ready(5000);
    let stop = false;
    let answered = 0;
    const caller = async () => {
      while (!stop) {
        await client.call(item('x'), { timeoutMs: 5000 });
        answered++;
      }
    };
    const callers = Promise.all(Array.from({ length: 8 }, caller));
    await expect.poll(() => answered > 100 && opened > 8).toBe(true);
    stop = true;
    await callers;
  });

  it('lose nothing when one of two servers is drained and stopped under load', async () => {
    const servers = await Promise.all([startServer(echo), startServer(echo)]);
    await using client = connect(servers.map((server) => server.address).join(','), { streams: 4 });
    await client.ready(5000);
    let stop = false;
    let answered = 0;
    const caller = async () => {
      while (!stop) {
        await client.call(item('x'), { timeoutMs: 5000 });
        answered++;
      }
    };
    const callers = Promise.all(Array.from({ length: 16 }, caller));
    await expect.poll(() => answered).toBeGreaterThan(200);
    await servers[0]?.drain(5000);
    const atDrain = answered;
    await expect.poll(() => answered).toBeGreaterThan(atDrain + 200);
    stop = true;
    await callers;
    await client.close(1000);
    await servers[1]?.drain(1000);
  });

  it('reject items that the server has no room for, and serve the rest in order', async () => {
    const release = Promise.withResolvers<void>();
    const ran: string[] = [];
    await using server = await startServer(
      async (received, context) => {
        ran.push(received.request?.model ?? '');
        await release.promise;
        return echo(received, context);
      },
      { maxRunning: 2, maxWaiting: 2 },
    );
    await using client = connect(server.address);
    const calls = ['a', 'b', 'c', 'd', 'e'].map((label) => client.call(item(label), { timeoutMs: 5000 }));
    await expect(calls[4]).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'too_many_waiting' });
    release.resolve();
    await Promise.all(calls.slice(0, 4));
    expect(ran).toEqual(['a', 'b', 'c', 'd']);
  });

  it('reject an item that is too large for any frame', async () => {
    await using server = await startServer(echo);
    await using client = connect(server.address, { sizeOf: () => 1000, maxItemBytes: 999 });
    await expect(client.call(item('a'), { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'item_too_large',
    });
  });

  it('reject new calls once closing, and complete those in flight', async () => {
    const release = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using server = await startServer(async (received, context) => {
      started.resolve();
      await release.promise;
      return echo(received, context);
    });
    const client = connect(server.address);
    const call = client.call(item('a'), { timeoutMs: 5000 });
    await started.promise;
    const closed = client.close(5000);
    await expect(client.call(item('b'), { timeoutMs: 5000 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    release.resolve();
    expect(labelOf(await call)).toBe('a');
    await closed;
  });
});
