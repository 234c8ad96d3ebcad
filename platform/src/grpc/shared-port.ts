import { type AddressInfo, createServer } from 'node:net';
import type { Server, ServerCredentials } from '@grpc/grpc-js';

export interface SharedPort {
  readonly port: number;
  /** Takes no more connections: from then on the system gives them to the other processes. */
  close(): void;
}

/**
 * Listens on a port that other processes of the same user listen on as well (SO_REUSEPORT): the system gives each new connection to one of them. The
 * library opens no such port itself, so its connections are handed to it. Rejects when the address is in use by a process that does not share.
 */
export function listenShared(
  server: Server,
  credentials: ServerCredentials,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<SharedPort> {
  const injector = server.createConnectionInjector(credentials);
  const listener = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ host, port, reusePort: true }, () => {
      listener.off('error', reject);
      listener.on('error', () => undefined);
      resolve({ port: (listener.address() as AddressInfo).port, close: () => listener.close() });
    });
  });
}
