import {
  Client,
  type MethodDefinition,
  type ServiceDefinition,
  type UntypedHandleCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { HOTLOOP_FILES, loadDefinitions, OIP_FILES } from '@hotloop/proto/definitions.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { framedHandler } from '../framed/served/framed-server.ts';
import { fromStatus } from '../framed/status.ts';
import { silentLog } from '../log.ts';
import { openChannel, withDeadline } from './client.ts';
import { clientStream, serverStream, unary } from './handlers.ts';
import { type GrpcServer, startGrpcServer } from './server.ts';

type Method = MethodDefinition<unknown, unknown>;

const KEY = 'operator-key-0123456789';
const definitions = loadDefinitions([...HOTLOOP_FILES, ...OIP_FILES]);
const services = Object.entries(definitions).flatMap(([name, definition]) =>
  'format' in definition ? [] : [{ name, methods: definition as ServiceDefinition }],
);
const HEALTH = { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false };
const methods = [...services.flatMap((service) => Object.values(service.methods)), HEALTH];

let handled = 0;
async function count(): Promise<object> {
  handled++;
  return {};
}

function handlerOf(method: Method): UntypedHandleCall {
  if (method.requestStream && method.responseStream)
    return framedHandler({ handle: count, timeoutMsOf: () => 0 }) as UntypedHandleCall;
  if (method.requestStream)
    return clientStream(async (messages) => {
      for await (const _ of messages) await count();
      return {};
    });
  if (method.responseStream)
    return serverStream(async function* () {
      yield await count();
    });
  return unary(count);
}

function handlersOf(service: ServiceDefinition): UntypedServiceImplementation {
  return Object.fromEntries(Object.entries(service).map(([name, method]) => [name, handlerOf(method)]));
}

let server: GrpcServer;
beforeAll(async () => {
  server = await startGrpcServer({
    services: services.map(({ name, methods }) => ({ name, handlers: handlersOf(methods) })),
    definitions,
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(`${KEY}:ops:operate+predict+feedback`),
    log: silentLog(),
  });
});
afterAll(() => server[Symbol.asyncDispose]());

/**
 * Sends bytes that are not a message to a method. Resolves with the error of the call; undefined when it did not
 * fail.
 */
async function sendGarbage(path: string, apiKey?: string): Promise<unknown> {
  const channel = openChannel(server.address, apiKey === undefined ? {} : { apiKey });
  const client = new Client(channel.address, channel.credentials, channel.options);
  const same = (bytes: Buffer) => bytes;
  // The kinds of methods do not differ on the wire for one message. A stream of requests is left open.
  const stream = client.makeBidiStreamRequest(path, same, same, channel.metadata(), withDeadline(20_000));
  stream.write(Buffer.from('garbage'));
  if (!methods.some((method) => method.path === path && method.requestStream)) stream.end();
  const error = await new Promise((resolve) => {
    stream.on('error', resolve);
    stream.on('data', () => undefined);
    stream.on('end', () => resolve(undefined));
  });
  client.close();
  return error && fromStatus(error);
}

describe('bytes that are not a request', () => {
  it.each(methods.map((method) => method.path))("are the caller's fault at %s", async (path) => {
    expect(await sendGarbage(path, KEY)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/^the request cannot be read as a \w+(Request|Frame)$/),
      reason: 'malformed_request',
    });
    expect(handled).toBe(0);
  });

  it('reveal only that a key is missing', async () => {
    expect(await sendGarbage('/hotloop.v1.JobService/GetLoop')).toMatchObject({ code: 'UNAUTHENTICATED' });
  });
});
