import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, it } from 'vitest';
import { startFaultProxy } from './fault-proxy.ts';

it('passes bytes, swallows them without an error, and cuts connections', async () => {
  await using stack = new AsyncDisposableStack();
  const server = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => void server.close());
  const proxy = stack.use(await startFaultProxy(`127.0.0.1:${(server.address() as AddressInfo).port}`));
  const client = connect(Number(proxy.address.split(':')[1]), '127.0.0.1');
  const said = async (text: string) => {
    client.write(text);
    const [chunk] = (await once(client, 'data')) as [Buffer];
    return chunk.toString('latin1');
  };
  expect(await said('hello')).toBe('hello');
  proxy.swallow();
  client.write('lost');
  await expect.poll(() => proxy.swallowed).toBe(4);
  proxy.heal();
  expect(await said('back')).toBe('back');
  const closed = once(client, 'close');
  proxy.cut();
  await closed;
});
