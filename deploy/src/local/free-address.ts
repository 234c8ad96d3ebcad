import { once } from 'node:events';
import { createServer } from 'node:net';
import { LocalError } from './local-error.ts';

const HOST = '127.0.0.1';

/** How a port is chosen: that one or nothing, that one if it is free, or any. */
export type PortWish = { readonly exactly: number } | { readonly preferably: number } | 'any';

/** host:port to listen on; port 0 lets the system choose. Throws PORT_TAKEN where the wish leaves no other. */
export async function freeAddress(wish: PortWish, what: string): Promise<string> {
  if (wish === 'any') return `${HOST}:0`;
  const port = 'exactly' in wish ? wish.exactly : wish.preferably;
  if (await isFree(port)) return `${HOST}:${port}`;
  if ('preferably' in wish) return `${HOST}:0`;
  throw new LocalError(
    'PORT_TAKEN',
    `port ${port} of ${HOST}, where ${what} listens, is taken by another program; stop that one first`,
  );
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, HOST);
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
