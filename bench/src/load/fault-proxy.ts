import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { OpenSockets } from '@hotloop/deploy/backing/open-sockets.ts';

/** A TCP proxy whose connections can become half-open. Disposing closes all of them. */
export interface FaultProxy extends AsyncDisposable {
  /** 127.0.0.1:port */
  readonly address: string;
  /** Bytes dropped so far. */
  readonly swallowed: number;
  /**
   * From now on nothing passes, in either direction, and neither side sees an error: open and new connections are
   * half-open.
   */
  swallow(): void;
  /** Forwards bytes again. */
  heal(): void;
  /** Closes all open connections, once. */
  cut(): void;
}

/** @param target host:port of the server behind it */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const at = target.lastIndexOf(':');
  const [host, port] = [target.slice(0, at), Number(target.slice(at + 1))];
  let isSwallowing = false;
  let swallowed = 0;
  const sockets = new OpenSockets();
  const relay = (from: Socket, to: Socket) => {
    from.on('data', (chunk: Buffer) => {
      if (isSwallowing) swallowed += chunk.length;
      else if (!to.destroyed && !to.write(chunk)) {
        from.pause();
        to.once('drain', () => from.resume());
      }
    });
    from.on('end', () => to.end());
  };
  const server = createServer((client) => {
    const upstream = connect(port, host);
    sockets.tie(client, upstream);
    relay(client, upstream);
    relay(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get swallowed() {
      return swallowed;
    },
    swallow() {
      isSwallowing = true;
    },
    heal() {
      isSwallowing = false;
    },
    cut: () => sockets.destroyAll(),
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      sockets.destroyAll();
      await closed;
    },
  };
}
