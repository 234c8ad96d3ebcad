import { Client, type ServiceDefinition } from '@grpc/grpc-js';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import { expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { silentLog } from '../log.ts';
import { openChannel, withDeadline } from './client.ts';
import { unary } from './handlers.ts';
import { startGrpcServer } from './server.ts';

const SERVICE = 'hotloop.v1.JobService';
const definitions = loadDefinitions(['hotloop/v1/jobs.proto']);
const method = (definitions[SERVICE] as ServiceDefinition).GetLoop;

const start = (name: string, options: { address?: string; sharePort?: boolean }) =>
  startGrpcServer({
    services: [{ name: SERVICE, handlers: { GetLoop: unary(async () => ({ model: name })) } }],
    definitions,
    address: '127.0.0.1:0',
    authenticator: createAuthenticator(undefined),
    log: silentLog(),
    ...options,
  });

/** The name of the server behind one new connection. */
async function whoAnswers(address: string): Promise<string> {
  if (method === undefined) throw new Error('the service has no GetLoop');
  const { address: target, credentials, options, metadata } = openChannel(address, { keepaliveMs: 10_000 });
  const client = new Client(target, credentials, { ...options, 'grpc.use_local_subchannel_pool': 1 });
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        ...([{ model: '' }, metadata(), withDeadline(30_000)] as const),
        (error, reply) => (error ? reject(error) : resolve((reply as { model: string }).model)),
      );
    });
  } finally {
    client.close();
  }
}

it('a port is shared by servers with that option, and released by one that drains', async () => {
  await using first = await start('first', { sharePort: true });
  const { address } = first;
  await using _second = await start('second', { sharePort: true, address });
  const connections = (count: number) =>
    Promise.all(Array.from({ length: count }, () => whoAnswers(address)));
  expect(new Set(await connections(40))).toEqual(new Set(['first', 'second']));
  await first.drain(5_000);
  expect(new Set(await connections(10))).toEqual(new Set(['second']));
  await expect(start('alone', { address })).rejects.toMatchObject({ reason: 'cannot_listen' });
});
