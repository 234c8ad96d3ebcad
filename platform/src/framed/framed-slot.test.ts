import { EventEmitter } from 'node:events';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import type { Frame, ItemMessage, ReplyFrame, ReplyMessage } from './frame.ts';
import { FramedClient } from './framed-client.ts';

interface Item extends ItemMessage {
  label: string;
}
interface Reply extends ReplyMessage {
  label: string;
}

/** A stream whose other end is the test, which decides when the stream opens, is full, answers, drains or dies. */
class HandDrivenStream extends EventEmitter {
  readonly frames: Frame<Item>[] = [];
  full = false;
  ended = false;

  write(frame: Frame<Item>): boolean {
    this.frames.push(frame);
    return !this.full;
  }

  end(): void {
    this.ended = true;
    this.emit('end');
  }

  cancel(): void {}

  get labels(): string[] {
    return this.frames.flatMap((frame) => frame.items ?? []).map((item) => item.label);
  }

  answerAll(extra: Partial<ReplyFrame<Reply>> = {}): void {
    const items = this.frames.flatMap((frame) => frame.items ?? []);
    this.emit('data', {
      items: items.map(({ sequence, label }) => ({ sequence, label })),
      ...extra,
    });
  }
}

function setUp(maxFrameItems: number) {
  const streams: HandDrivenStream[] = [];
  const client = new FramedClient<Item, Reply>({
    name: 'the other end',
    maxFrameItems,
    backoffMs: 60_000,
    maxBackoffMs: 60_000,
    open() {
      const stream = new HandDrivenStream();
      streams.push(stream);
      return stream as unknown as ClientDuplexStream<Frame<Item>, ReplyFrame<Reply>>;
    },
  });
  const call = (label: string) => client.call({ label }, { timeoutMs: 60_000 }).then((reply) => reply.label);
  return { streams, client, call };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('calls that are not yet sent because the stream is full', () => {
  it('go to the next stream when this one drains; sent calls are still answered here', async () => {
    const { streams, client, call } = setUp(1);
    await using _ = client;
    const [first] = streams;
    if (!first) throw new Error('no stream');
    first.full = true;
    first.emit('metadata');
    const calls = ['a', 'b', 'c'].map(call);
    await turn();
    expect(first.labels).toEqual(['a']);
    first.emit('data', { items: [], draining: true });
    const second = streams[1];
    second?.emit('metadata');
    await turn();
    expect(second?.labels).toEqual(['b', 'c']);
    expect(first.ended).toBe(false);
    second?.answerAll();
    first.answerAll();
    expect(await Promise.all(calls)).toEqual(['a', 'b', 'c']);
    expect(first.ended).toBe(true);
  });

  it('go to the next stream when this one dies; sent calls fail', async () => {
    const { streams, client, call } = setUp(1);
    await using _ = client;
    streams[0]!.full = true;
    streams[0]?.emit('metadata');
    const sent = call('a');
    const unsent = call('b');
    await turn();
    const lost = expect(sent).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'connection_lost' });
    streams[0]?.emit('error', Object.assign(new Error('x'), { code: 1, details: 'reset' }));
    await lost;
    streams[1]?.emit('metadata');
    await turn();
    streams[1]?.answerAll();
    expect(await unsent).toBe('b');
  });

  it('are tried with a few new streams at once, and then fail', async () => {
    const { streams, client, call } = setUp(10);
    await using _ = client;
    const waiting = expect(call('a')).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'not_connected' });
    for (let attempt = 0; attempt < 5; attempt++)
      streams.at(-1)?.emit('error', Object.assign(new Error('x'), { code: 14, details: 'refused' }));
    await waiting;
    expect(streams).toHaveLength(5);
  });

  it('fail with the error of the server when it will never accept them', async () => {
    const { streams, client, call } = setUp(10);
    await using _ = client;
    const refused = expect(call('a')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    streams[0]?.emit('error', Object.assign(new Error('x'), { code: 16, details: 'no key' }));
    await refused;
    expect(streams).toHaveLength(1);
  });

  it('wait while the stream is full, and are sent when it has room', async () => {
    const { streams, client, call } = setUp(1);
    await using _ = client;
    const [stream] = streams;
    stream!.full = true;
    stream?.emit('metadata');
    const calls = ['a', 'b'].map(call);
    await turn();
    expect(stream?.labels).toEqual(['a']);
    stream!.full = false;
    stream?.emit('drain');
    await turn();
    expect(stream?.labels).toEqual(['a', 'b']);
    stream?.answerAll();
    expect(await Promise.all(calls)).toEqual(['a', 'b']);
  });
});
