import { Client, type Metadata, type ServiceDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { AUTHORIZATION, createAuthenticator } from '../auth/authorization.ts';
import { fromStatus } from '../framed/status.ts';
import { createLog, silentLog } from '../log.ts';
import { stays } from '../testing/stays.ts';
import type { CallContext } from './call-context.ts';
import { openChannel, withDeadline } from './client.ts';
import { serverStream, unary } from './handlers.ts';
import { type GrpcServerOptions, startGrpcServer } from './server.ts';

const definitions = loadDefinitions(['hotloop/v1/jobs.proto']);
const SERVICE = 'hotloop.v1.JobService';
const jobs = definitions[SERVICE] as ServiceDefinition;
const OPERATOR_KEY = 'operator-key-0123456789';
const PREDICT_KEY = 'predict-key-0123456789';
const KEYS = `${OPERATOR_KEY}:ops:operate,${PREDICT_KEY}:shop:predict`;

type GetLoop = (request: { model: string }, context: CallContext) => Promise<{ model: string }>;

function start(getLoop: GetLoop, options: Partial<GrpcServerOptions> = {}) {
  return startGrpcServer({
    services: [{ name: SERVICE, handlers: { GetLoop: unary(getLoop) } }],
    definitions,
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
    ...options,
  });
}

const echo: GetLoop = async ({ model }) => ({ model });

interface TestClient extends Disposable {
  unary(
    path: string,
    request: object,
    options?: { timeoutMs?: number; headers?: Record<string, string> },
  ): Promise<object>;
  readonly raw: Client;
  metadata(): Metadata;
}

function connect(address: string, apiKey?: string, keepaliveMs = 1000): TestClient {
  const channel = openChannel(address, { keepaliveMs, ...(apiKey === undefined ? {} : { apiKey }) });
  // A long keepalive timeout: a delayed test must not take the server for dead.
  const options = { ...channel.options, 'grpc.keepalive_timeout_ms': 20_000 };
  const raw = new Client(channel.address, channel.credentials, options);
  return {
    raw,
    metadata: channel.metadata,
    unary(path, request, { timeoutMs = 5000, headers = {} } = {}) {
      const [, service = '', name = ''] = path.split('/');
      const method = (loadAll()[service] as ServiceDefinition)[name]!;
      const metadata = channel.metadata();
      for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
      return new Promise((resolve, reject) => {
        raw.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          metadata,
          withDeadline(timeoutMs),
          (error: ServiceError | null, reply?: object) =>
            error ? reject(fromStatus(error)) : resolve(reply ?? {}),
        );
      });
    },
    [Symbol.dispose]: () => raw.close(),
  };
}

/** All services of the tests, including health. */
function loadAll() {
  const health = {
    Check: {
      path: '/grpc.health.v1.Health/Check',
      // HealthCheckRequest: field 1, a string. HealthCheckResponse: field 1, an enum.
      requestSerialize: ({ service }: { service: string }) =>
        service === ''
          ? Buffer.alloc(0)
          : Buffer.concat([Buffer.from([10, service.length]), Buffer.from(service)]),
      responseDeserialize: (bytes: Buffer) => ({
        status: ['UNKNOWN', 'SERVING', 'NOT_SERVING'][bytes[1] ?? 0],
      }),
    },
  };
  return { ...definitions, 'grpc.health.v1.Health': health } as unknown as typeof definitions;
}

const LOOP = `/${SERVICE}/GetLoop`;
const HEALTH = '/grpc.health.v1.Health/Check';

describe('authorization at the server', () => {
  it('admits the right role and passes the caller to the handler', async () => {
    await using server = await start(async (_request, context) => ({ model: context.caller.subject }), {
      authenticator: createAuthenticator(KEYS),
    });
    using client = connect(server.address, OPERATOR_KEY);
    expect(await client.unary(LOOP, {})).toMatchObject({ model: 'ops' });
  });

  it('rejects a missing key, an unknown key and the wrong role', async () => {
    let calls = 0;
    const count: GetLoop = async () => ({ model: String(++calls) });
    await using server = await start(count, { authenticator: createAuthenticator(KEYS) });
    for (const [key, code] of [
      [undefined, 'UNAUTHENTICATED'],
      ['unknown-key-0123456789', 'UNAUTHENTICATED'],
      [PREDICT_KEY, 'PERMISSION_DENIED'],
    ] as const) {
      using client = connect(server.address, key);
      await expect(client.unary(LOOP, {})).rejects.toMatchObject({ code });
    }
    expect(calls).toBe(0);
  });

  it('rejects every method of the service without a key, including streams', async () => {
    await using server = await start(echo, { authenticator: createAuthenticator(KEYS) });
    using client = connect(server.address);
    for (const method of Object.values(jobs)) {
      const stream = client.raw.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        {},
        client.metadata(),
        withDeadline(5000),
      );
      const error = await new Promise((resolve) => {
        stream.on('error', resolve);
        stream.on('data', () => undefined);
        stream.on('end', () => resolve(undefined));
      });
      expect(fromStatus(error), method.path).toMatchObject({ code: 'UNAUTHENTICATED' });
    }
  });

  it('does not start with a method that has no row in the table', async () => {
    const without = new Map(AUTHORIZATION);
    without.delete(`/${SERVICE}/Trace`);
    await expect(start(echo, { authorization: without })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`/${SERVICE}/Trace`),
    });
  });

  it('does not start without API keys on an address that others can reach', async () => {
    await expect(start(echo, { address: '0.0.0.0:0' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'open_without_keys',
    });
  });

  it('says which address is in use', async () => {
    await using server = await start(echo);
    await expect(start(echo, { address: server.address })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(server.address),
    });
  });
});

describe('errors at the server', () => {
  it('reach the caller with code, message and reason', async () => {
    await using server = await start(async () => {
      throw new HotloopError('ABORTED', 'another generation', { reason: 'generation_moved' });
    });
    using client = connect(server.address);
    await expect(client.unary(LOOP, {})).rejects.toMatchObject({
      code: 'ABORTED',
      message: 'another generation',
      reason: 'generation_moved',
    });
  });

  it('that are unexpected reach the caller as a fixed text, and the log with their cause and request id', async () => {
    const lines: string[] = [];
    const log = createLog({ service: 'test', level: 'info' }, { write: (line) => void lines.push(line) });
    const fail: GetLoop = async () => {
      throw new Error('SELECT secret FROM /var/lib');
    };
    await using server = await start(fail, { log });
    using client = connect(server.address);
    await expect(client.unary(LOOP, {}, { headers: { 'x-request-id': 'req-7' } })).rejects.toMatchObject({
      code: 'INTERNAL',
      message: expect.not.stringContaining('secret'),
    });
    expect(lines.join('')).toContain('SELECT secret');
    expect(JSON.parse(lines[0] ?? '{}')).toMatchObject({ requestId: 'req-7', method: LOOP, level: 'error' });
  });

  it('of a handler that throws before it returns are caught too', async () => {
    await using server = await start(() => {
      throw new HotloopError('NOT_FOUND', 'no such model');
    });
    using client = connect(server.address);
    await expect(client.unary(LOOP, {})).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('name a method that is not implemented', async () => {
    await using server = await start(echo);
    using client = connect(server.address);
    await expect(client.unary(`/${SERVICE}/Trace`, {})).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  it('end a stream in the middle with their code', async () => {
    await using server = await startGrpcServer({
      services: [
        {
          name: SERVICE,
          handlers: {
            WatchRun: serverStream(async function* () {
              yield { state: 'training' };
              throw new HotloopError('NOT_FOUND', 'the run is gone');
            }),
          },
        },
      ],
      definitions,
      address: '127.0.0.1:0',
      authenticator: createAuthenticator(undefined),
      log: silentLog(),
    });
    using client = connect(server.address);
    const { states, error } = await watch(client);
    expect(states).toEqual(['training']);
    expect(fromStatus(error)).toMatchObject({ code: 'NOT_FOUND', message: 'the run is gone' });
  });

  it('answer RESOURCE_EXHAUSTED to a message that is too large', async () => {
    await using server = await start(echo, { maxMessageBytes: 1000 });
    using client = connect(server.address);
    await expect(client.unary(LOOP, { model: 'x'.repeat(2000) })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
  });
});

async function watch(client: TestClient) {
  const method = jobs.WatchRun!;
  const states: string[] = [];
  const stream = client.raw.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    {},
    client.metadata(),
    withDeadline(5000),
  );
  const error = await new Promise((resolve) => {
    stream.on('data', (run: { state: string }) => states.push(run.state));
    stream.on('error', resolve);
    stream.on('end', () => resolve(undefined));
  });
  return { states, error };
}

describe('health at the server', () => {
  it('starts as not serving but alive, and follows what the service sets', async () => {
    await using server = await start(echo);
    using client = connect(server.address);
    const healthOf = (service: string) => client.unary(HEALTH, { service });
    for (const name of ['', 'readiness', SERVICE])
      expect(await healthOf(name)).toEqual({ status: 'NOT_SERVING' });
    expect(await healthOf('liveness')).toEqual({ status: 'SERVING' });
    server.setServing('', true);
    for (const name of ['', 'readiness', 'liveness', SERVICE])
      expect(await healthOf(name)).toEqual({ status: 'SERVING' });
    server.setServing('readiness', false);
    expect(await healthOf('readiness')).toEqual({ status: 'NOT_SERVING' });
    await expect(healthOf('unknown')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('needs no key', async () => {
    await using server = await start(echo, { authenticator: createAuthenticator(KEYS) });
    using client = connect(server.address);
    expect(await client.unary(HEALTH, { service: 'liveness' })).toEqual({ status: 'SERVING' });
  });
});

describe('deadlines and drains at the server', () => {
  it('notify a handler when its caller has stopped waiting', async () => {
    const told = Promise.withResolvers<void>();
    await using server = await start(async (_request, context) => {
      expect(context.remainingMs()).toBeLessThanOrEqual(1000);
      context.signal.addEventListener('abort', () => told.resolve());
      await told.promise;
      return { model: '' };
    });
    using client = connect(server.address);
    await expect(client.unary(LOOP, {}, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await told.promise;
  });

  it('let calls in flight end, and reject new ones', async () => {
    const release = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const server = await start(async () => {
      started.resolve();
      await release.promise;
      return { model: 'done' };
    });
    using client = connect(server.address);
    const call = client.unary(LOOP, {}, { timeoutMs: 10_000 });
    await started.promise;
    const drained = server.drain(10_000);
    using late = connect(server.address);
    await expect(late.unary(LOOP, {}, { timeoutMs: 10_000 })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    release.resolve();
    expect(await call).toMatchObject({ model: 'done' });
    await drained;
  });

  it('do not let a client keepalive cut off calls in flight', async () => {
    const release = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const server = await start(async () => {
      started.resolve();
      await release.promise;
      return { model: 'done' };
    });
    using client = connect(server.address, undefined, 50);
    const call = client.unary(LOOP, {}, { timeoutMs: 10_000 });
    await started.promise;
    let isDrained = false;
    const drained = server.drain(10_000).then(() => {
      isDrained = true;
    });
    // Several keepalives of the client must occur during the drain.
    await stays(300, () => isDrained, false);
    release.resolve();
    expect(await call).toMatchObject({ model: 'done' });
    await drained;
  });

  it('cut off calls that do not end by the deadline, and notify their handlers', async () => {
    const started = Promise.withResolvers<void>();
    const told = Promise.withResolvers<void>();
    const server = await start((_request, context) => {
      context.signal.addEventListener('abort', () => told.resolve());
      started.resolve();
      return new Promise(() => undefined);
    });
    using client = connect(server.address);
    const call = client.unary(LOOP, {}, { timeoutMs: 20_000 });
    const failed = expect(call).rejects.toMatchObject({
      code: expect.stringMatching(/UNAVAILABLE|CANCELLED/),
    });
    await started.promise;
    const began = performance.now();
    await server.drain(50);
    expect(performance.now() - began).toBeLessThan(5000);
    await Promise.all([failed, told.promise]);
  });
});

describe('concurrent calls', () => {
  it('runs 256 of one connection at a time, and answers the others after them', async () => {
    const gate = Promise.withResolvers<void>();
    let running = 0;
    let most = 0;
    await using server = await start(async ({ model }) => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
      return { model };
    });
    using client = connect(server.address);
    const calls = Array.from({ length: 300 }, (_, index) =>
      client.unary(LOOP, { model: `m${index}` }, { timeoutMs: 30_000 }),
    );
    await expect.poll(() => running).toBe(256);
    gate.resolve();
    expect(await Promise.all(calls)).toHaveLength(300);
    expect(most).toBe(256);
  });
});
