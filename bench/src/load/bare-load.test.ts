import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
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
  /** Calls that were left without an answer. */
  silent(): number;
  stop(): void;
}

/** Answers each call a moment later, rejects it, or never answers; accepts four calls at once. */
async function startPeer(): Promise<Peer> {
  const server = new Server({ 'grpc.max_concurrent_streams': 4 });
  const received: Buffer[] = [];
  let atOnce = 0;
  let most = 0;
  let silent = 0;
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
      Silent() {
        silent++;
      },
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
    silent: () => silent,
    stop: () => server.forceShutdown(),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

describe('a bare load', () => {
  it('makes calls that a grpc-js server reads, within its limit of streams, and receives all answers', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    const message = Buffer.alloc(2_000, 'bytes');
    const call = load.caller('/test/Echo', message);
    // Before the server has sent its limit, a client may send a hundred.
    await call();
    await Promise.all(Array.from({ length: 300 }, call));
    expect(peer.received).toHaveLength(301);
    expect(peer.received.every((bytes) => bytes.equals(message))).toBe(true);
    expect(peer.mostAtOnce()).toBe(4);
  });

  it('rejects refused calls, and continues', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    await expect(load.caller('/test/Refuse', Buffer.from('x'))()).rejects.toThrow('a call was refused');
    await expect(load.caller('/test/Missing', Buffer.from('x'))()).rejects.toThrow('a call was refused');
    await expect(load.caller('/test/Echo', Buffer.from('x'))()).resolves.toBeUndefined();
  });

  it('rejects unanswered, waiting and later calls when the server ends', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    // From then on the client knows that the server accepts four at once.
    await load.caller('/test/Echo', Buffer.from('x'))();
    const call = load.caller('/test/Silent', Buffer.from('x'));
    const waiting = Promise.allSettled(Array.from({ length: 6 }, call));
    await expect.poll(() => peer.silent()).toBe(4);
    peer.stop();
    for (const { status: how } of await waiting) expect(how).toBe('rejected');
    await expect(call()).rejects.toThrow(/closed|GOAWAY|reset/i);
  });

  it('reads split frames, answers pings, and sends waiting calls when the server accepts more', async () => {
    const frames: Buffer[] = [];
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => frames.push(chunk));
      const send = (hex: string) => {
        for (const byte of Buffer.from(hex, 'hex')) socket.write(Buffer.from([byte]));
      };
      peer = { send };
    });
    let peer: { send(hex: string): void } | undefined;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    try {
      await using load = await openBareLoad(`127.0.0.1:${(server.address() as AddressInfo).port}`);
      const sent = () => Buffer.concat(frames).toString('latin1').split('/test/Echo').length - 1;
      const hasSent = (hex: string) => Buffer.concat(frames).includes(Buffer.from(hex, 'hex'));
      await expect.poll(() => peer !== undefined).toBe(true);
      // SETTINGS with a limit of one stream; the acknowledgement shows that they were read.
      peer?.send('000006040000000000' + '000300000001');
      await expect.poll(() => hasSent('000000040100000000')).toBe(true);
      const call = load.caller('/test/Echo', Buffer.from('x'));
      const calls = [call(), call(), call()];
      await expect.poll(sent).toBe(1);
      peer?.send('000008060000000000' + '0102030405060708');
      await expect.poll(() => hasSent('000008060100000000' + '0102030405060708')).toBe(true);
      peer?.send('000006040000000000' + '000300000002');
      await expect.poll(sent).toBe(2);
      // DATA with a message of one byte and HEADERS that end the first call; a reset of the second; an answer to the
      // third.
      peer?.send('000006000000000001' + '000000000178' + '000000010500000001');
      await expect(calls[0]).resolves.toBeUndefined();
      await expect.poll(sent).toBe(3);
      peer?.send('000004030000000003' + '00000008');
      await expect(calls[1]).rejects.toThrow('a call was refused');
      peer?.send('000006000000000005' + '000000000178' + '000000010500000005');
      await expect(calls[2]).resolves.toBeUndefined();
    } finally {
      server.close();
    }
  });

  it('refuses a request that needs more than one frame', async () => {
    await using peer = await startPeer();
    await using load = await openBareLoad(peer.address);
    expect(() => load.caller('/test/Echo', Buffer.alloc(16_384))).toThrow(RangeError);
  });
});
