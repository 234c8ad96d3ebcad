import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { startFaultProxy } from './fault-proxy.ts';

it('passes bytes, swallows them, turns bits and cuts connections, as it is told', async () => {
  await using stack = new AsyncDisposableStack();
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => void server.close());
  const proxy = stack.use(await startFaultProxy(`127.0.0.1:${(server.address() as AddressInfo).port}`));
  const dial = () => connect(Number(proxy.address.split(':')[1]), '127.0.0.1');
  const client = dial();
  const said = async (text: string) => {
    client.write(text);
    const [chunk] = (await once(client, 'data')) as [Buffer];
    return chunk.toString('latin1');
  };
  expect(await said('hello')).toBe('hello');
  proxy.inject({ corruptEvery: 1 });
  expect(await said('a')).toBe('`');
  proxy.inject({ swallow: 'both' });
  client.write('lost');
  await expect.poll(() => proxy.swallowed).toBe(4);
  proxy.heal();
  expect(await said('back')).toBe('back');
  const closed = once(client, 'close');
  proxy.inject({ refuse: true });
  await closed;
  const refused = dial();
  refused.on('error', () => undefined);
  await once(refused, 'close');
});
