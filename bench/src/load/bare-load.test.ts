import { Server, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { openBareLoad } from './bare-load.ts';

const whole = (bytes: Buffer): Buffer => bytes;
const method = (path: string) => ({
  path,
  requestStream: false,
  responseStream: false,
  requestSerialize: whole,
  requestDeserialize: whole,
  responseSerialize: whole,
  responseDeserialize: whole,
});

interface Peer extends AsyncDisposable {
  readonly address: string;
  readonly received: Buffer[];
  mostAtOnce(): number;
  stop(): void;
}

/** Answers what it gets a moment later, refuses, or says nothing; takes four calls at once. */
async function startPeer(): Promise<Peer> {
  const server = new Server({ 'grpc.max_concurrent_streams': 4 });
  const received: Buffer[] = [];
  let atOnce = 0;
  let most = 0;
  server.addService(
    { Echo: method('/test/Echo'), Refuse: method('/test/Refuse'), Silent: method('/test/Silent') },
    {
      Echo({ request }: { request: Buffer }, answer: sendUnaryData<Buffer>) {
        received.push(request);
        most = Math.max(most, ++atOnce);
        setImmediate(() => {
          atOnce--;
          answer(null, request);
        });
      },
      Refuse(_: unknown, answer: sendUnaryData<Buffer>) {
        answer({ code: status.RESOURCE_EXHAUSTED, details: 'no' });
      },
      Silent() {},
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    received,
    mostAtOnce: () => most,
    stop: () => server.forceShutdown(),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

describe('a bare load', () => {
  it('makes calls that a server of the library reads whole, no more at once than it takes, and hears all answers', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    const message = Buffer.alloc(2_000, 'bytes');
    const call = load.caller('/test/Echo', message);
    // Before the server has said how many it takes, a client may send a hundred.
    await call();
    await Promise.all(Array.from({ length: 300 }, call));
    expect(peer.received).toHaveLength(301);
    expect(peer.received.every((bytes) => bytes.equals(message))).toBe(true);
    expect(peer.mostAtOnce()).toBe(4);
  });

  it('rejects what is refused, and goes on', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    await expect(load.caller('/test/Refuse', Buffer.from('x'))()).rejects.toThrow('a call was refused');
    await expect(load.caller('/test/Missing', Buffer.from('x'))()).rejects.toThrow('a call was refused');
    await expect(load.caller('/test/Echo', Buffer.from('x'))()).resolves.toBeUndefined();
  });

  it('rejects what has no answer when the server ends, and whatever comes later', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    const call = load.caller('/test/Silent', Buffer.from('x'));
    const waiting = Promise.allSettled(Array.from({ length: 6 }, call));
    await load
      .caller('/test/Echo', Buffer.from('x'))()
      .catch(() => undefined);
    peer.stop();
    for (const { status: how } of await waiting) expect(how).toBe('rejected');
    await expect(call()).rejects.toThrow(/closed|goes away|reset/i);
  });

  it('takes no request that needs more than one frame', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    expect(() => load.caller('/test/Echo', Buffer.alloc(16_384))).toThrow(RangeError);
  });
});
