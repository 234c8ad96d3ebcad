import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { formatAddress } from '@hotloop/platform/grpc/listen-address.ts';
import { LocalError } from './local-error.ts';

const LOOPBACK = '127.0.0.1';

/** How a port is chosen: exactly this one, this one if it is free, or any. */
export type PortWish = { readonly exactly: number } | { readonly preferably: number } | 'any';

/**
 * host:port to listen on; port 0 lets the system choose. Throws PORT_TAKEN when the wish cannot be fulfilled.
 *
 * @param host an IPv4 address, an IPv6 address without brackets, or a name.
 */
export async function freeAddress(wish: PortWish, what: string, host: string = LOOPBACK): Promise<string> {
  if (wish === 'any') return formatAddress(host, 0);
  const port = 'exactly' in wish ? wish.exactly : wish.preferably;
  if (await isFree(port, host)) return formatAddress(host, port);
  if ('preferably' in wish) return formatAddress(host, 0);
  throw new LocalError(
    'PORT_TAKEN',
    `port ${port} of ${host}, where ${what} listens, is taken by another program; stop that one, or choose ` +
      'other ports with --port-base',
  );
}

/** The same, but with a port that is free now instead of port 0, so that others can be told the address in advance. */
export async function knownAddress(address: string): Promise<string> {
  const split = address.lastIndexOf(':');
  if (address.slice(split) !== ':0') return address;
  const host = address.slice(0, split).replace(/^\[|\]$/g, '');
  const server = createServer();
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return formatAddress(host, port);
}

/** The address for connections from this machine: if the service listens on all addresses, the loopback address. */
export function dialAddress(listening: string): string {
  return listening.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:');
}

async function isFree(port: number, host: string): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
