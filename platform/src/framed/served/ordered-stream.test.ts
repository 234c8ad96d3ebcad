import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import {
  Client,
  type ClientDuplexStream,
  type handleBidiStreamingCall,
  type ServerDuplexStream,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import type { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { createAuthenticator } from '../../auth/authorization.ts';
import { openChannel } from '../../grpc/client.ts';
import { type GrpcServer, startGrpcServer } from '../../grpc/server.ts';
import { silentLog } from '../../log.ts';
import { stays } from '../../testing/stays.ts';
import { type AnswerRequest, orderedStream } from './ordered-stream.ts';
import { http2StreamOf } from './reply-writer.ts';

const SERVICE = 'hotloop.v1.DecisionService';
const UNREADABLE = 'unreadable';
const whole = (bytes: Buffer): Buffer => bytes;
function readable(bytes: Buffer): Buffer {
  if (bytes.toString() === UNREADABLE) throw new Error('cannot be read');
  return bytes;
}
const definitions = loadDefinitions(['hotloop/v1/decision.proto']);
const contract = definitions[SERVICE] as ServiceDefinition;
/** The contract's stream method, with bytes as messages. */
const rawMethod = { ...contract.DecideStream!, requestDeserialize: readable, responseSerialize: whole };
const rawDefinitions = {
  ...definitions,
  [SERVICE]: { ...contract, DecideStream: rawMethod },
} as unknown as PackageDefinition;

function framed(text: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
}

const refuse = ({ reason }: HotloopError): Buffer => Buffer.from(`refused ${reason}`);

type Stream = ClientDuplexStream<Buffer, Buffer>;

function startServer(
  answer: AnswerRequest<Buffer>,
  serve: handleBidiStreamingCall<Buffer, Buffer> = orderedStream(answer, refuse),
): Promise<GrpcServer> {
  return startGrpcServer({
    services: [{ name: SERVICE, handlers: { DecideStream: serve } }],
    definitions: rawDefinitions,
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
  });
}

function open(server: GrpcServer): { stream: Stream } & Disposable {
  const { address, credentials, options } = openChannel(server.address);
  const client = new Client(address, credentials, options);
  const stream = client.makeBidiStreamRequest(rawMethod.path, whole, whole);
  stream.on('error', () => undefined);
  return {
    stream,
    [Symbol.dispose]() {
      stream.cancel();
      client.close();
    },
  };
}

async function allOf(stream: Stream): Promise<string[]> {
  const replies: string[] = [];
  for await (const reply of stream) replies.push((reply as Buffer).toString());
  return replies;
}

/** Every third request is answered in a later turn of the event loop, so answers become ready out of order. */
async function late(request: Buffer): Promise<Buffer> {
  const number = Number(request.toString());
  if (number % 3 === 0) await new Promise((resolve) => setTimeout(resolve, number % 7));
  return Buffer.from(`answer ${number}`);
}

/** Calls the raw method without grpc-js, which would read ahead by itself and hide errors. */
function rawCall(session: ClientHttp2Session): ClientHttp2Stream {
  return session.request({
    ':method': 'POST',
    ':path': rawMethod.path,
    'content-type': 'application/grpc',
    te: 'trailers',
    // An unknown encoding, which applies to messages that are marked as encoded.
    'grpc-encoding': 'unknown',
  });
}

describe('a stream answered in order', () => {
  it.each([
    ['joined', orderedStream(late, refuse)],
    [
      'one by one, where the stream beneath the call is not found',
      (call: ServerDuplexStream<Buffer, Buffer>) => {
        const hidden = new Proxy(call, {
          get(target, name) {
            const value: unknown = name === 'call' ? undefined : Reflect.get(target, name, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        orderedStream(late, refuse)(hidden);
      },
    ],
  ])('sends every reply once and in the order of the requests, %s', async (_, serve) => {
    await using server = await startServer(late, serve);
    using client = open(server);
    const numbers = Array.from({ length: 1000 }, (_, index) => index);
    for (const number of numbers) client.stream.write(Buffer.from(String(number)));
    client.stream.end();
    expect(await allOf(client.stream)).toEqual(numbers.map((number) => `answer ${number}`));
  });

  it('writes the replies of one turn together', async () => {
    const written: number[] = [];
    const gate = Promise.withResolvers<void>();
    await using server = await startServer(
      () => Promise.resolve(Buffer.alloc(0)),
      (call) => {
        const stream = http2StreamOf(call);
        const write = stream?.write.bind(stream);
        if (stream && write)
          stream.write = (chunk: Buffer) => {
            written.push(chunk.length);
            return write(chunk);
          };
        let asked = 0;
        orderedStream<Buffer>(async () => {
          if (++asked === 20) gate.resolve();
          await gate.promise;
          return Buffer.from('12345');
        }, refuse)(call);
      },
    );
    using client = open(server);
    for (let count = 0; count < 20; count++) client.stream.write(Buffer.from('x'));
    client.stream.end();
    expect(await allOf(client.stream)).toHaveLength(20);
    expect(written).toEqual([20 * (5 + 5)]);
  });

  it('sends replies larger than the joining limit, and empty ones', async () => {
    const sizes = [0, 1_000_000, 3, 200_000, 0, 500_000];
    await using server = await startServer(async (request) => Buffer.alloc(Number(request.toString()), 7));
    using client = open(server);
    for (const size of sizes) client.stream.write(Buffer.from(String(size)));
    client.stream.end();
    expect((await allOf(client.stream)).map((reply) => reply.length)).toEqual(sizes);
  });

  it('reads no more requests while the client does not read', async () => {
    let asked = 0;
    await using server = await startServer(async () => {
      asked++;
      return Buffer.alloc(64 * 1024);
    });
    // A grpc-js client reads ahead by itself; this client accepts its 64 KB window and no more.
    const session = connect(`http://${server.address}`);
    const stream = rawCall(session);
    try {
      const message = framed('x');
      stream.write(Buffer.concat(Array.from({ length: 3000 }, () => message)));
      await expect.poll(() => asked).toBeGreaterThan(0);
      await stays(400, () => asked < 300, true);
    } finally {
      session.destroy();
    }
  });

  it.each([
    ['before the first reply', 0],
    ['after some replies', 3],
  ])(
    'ends with the library status for an unknown encoding, whatever was running, %s',
    async (_, answered) => {
      const errors: Error[] = [];
      await using server = await startServer(
        () => Promise.resolve(Buffer.alloc(0)),
        (call) => {
          http2StreamOf(call)?.on('error', (error) => errors.push(error));
          orderedStream<Buffer>(async (request) => request, refuse)(call);
        },
      );
      const session = connect(`http://${server.address}`);
      const stream = rawCall(session);
      try {
        const status = Promise.withResolvers<unknown>();
        stream.on('response', (headers) => {
          if (headers['grpc-status'] !== undefined) status.resolve(headers['grpc-status']);
        });
        stream.on('trailers', (headers) => status.resolve(headers['grpc-status']));
        stream.on('close', () => status.resolve('none'));
        for (let count = 0; count < answered; count++) {
          stream.write(framed('x'));
          await once(stream, 'data');
        }
        stream.resume();
        const encoded = framed('x');
        encoded[0] = 1;
        stream.write(Buffer.concat([framed('x'), framed('x'), encoded, framed('x')]));
        expect(String(await status.promise)).toBe('12');
        expect(errors).toEqual([]);
      } finally {
        session.destroy();
      }
    },
  );

  it('answers an unreadable request in its position', async () => {
    await using server = await startServer(late);
    using client = open(server);
    for (const request of ['3', UNREADABLE, '1']) client.stream.write(Buffer.from(request));
    client.stream.end();
    expect(await allOf(client.stream)).toEqual(['answer 3', 'refused malformed_request', 'answer 1']);
  });

  it('drops the requests of a cancelled client, and serves the next one', async () => {
    await using server = await startServer(late);
    {
      using gone = open(server);
      for (let count = 0; count < 100; count++) gone.stream.write(Buffer.from('3'));
    }
    using client = open(server);
    client.stream.write(Buffer.from('1'));
    client.stream.end();
    expect(await allOf(client.stream)).toEqual(['answer 1']);
  });
});
