import { Client, type ServiceDefinition } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import { describe, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { silentLog } from '../log.ts';
import { openChannel, withDeadline } from './client.ts';
import { startGrpcServer } from './server.ts';

const health = service as unknown as ServiceDefinition;

function start() {
  return startGrpcServer({
    services: [],
    definitions: {},
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
  });
}

function connect(address: string) {
  const channel = openChannel(address);
  return Object.assign(new Client(channel.address, channel.credentials, channel.options), {
    [Symbol.dispose](this: Client) {
      this.close();
    },
  });
}

/** The statuses that a watcher of a name receives, one at a time; undefined when the server ends the watch. */
function watch(client: Client, name: string) {
  const { path, requestSerialize, responseDeserialize } = health.Watch!;
  const call = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    { service: name },
    withDeadline(20_000),
  );
  const told = call[Symbol.asyncIterator]() as AsyncIterator<{ status: string }>;
  return { next: async () => (await told.next()).value?.status, cancel: () => call.cancel() };
}

describe('grpc.health.v1 beyond a single check', () => {
  it('sends a watcher the current status and each change, and ends the watch at the drain', async () => {
    await using server = await start();
    using client = connect(server.address);
    const watcher = watch(client, 'readiness');
    const stranger = watch(client, 'nobody');
    expect(await watcher.next()).toBe('NOT_SERVING');
    expect(await stranger.next()).toBe('SERVICE_UNKNOWN');
    server.setServing('readiness', true);
    expect(await watcher.next()).toBe('SERVING');
    server.setServing('readiness', false);
    expect(await watcher.next()).toBe('NOT_SERVING');
    server.setServing('readiness', true);
    expect(await watcher.next()).toBe('SERVING');
    const drained = server.drain(10_000);
    expect(await watcher.next()).toBe('NOT_SERVING');
    expect(await watcher.next()).toBeUndefined();
    expect(await stranger.next()).toBeUndefined();
    await drained;
  });

  it('lists every name with its status', async () => {
    await using server = await start();
    using client = connect(server.address);
    const list = () =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = health.List!;
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          {},
          withDeadline(20_000),
          (error, reply) => (error ? reject(error) : resolve(reply)),
        );
      });
    expect(await list()).toEqual({
      statuses: {
        '': { status: 'NOT_SERVING' },
        liveness: { status: 'SERVING' },
        readiness: { status: 'NOT_SERVING' },
      },
    });
    server.setServing('', true);
    expect(await list()).toMatchObject({ statuses: { readiness: { status: 'SERVING' } } });
  });
});
