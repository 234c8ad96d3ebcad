import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens to bytes on their way. */
export interface ProxyFault {
  /** Delay of bytes in each direction. */
  readonly delayMs?: number;
  /** Nothing passes any more, without an error: a half-open connection. 'both', or bytes to the server alone, or from it. */
  readonly swallow?: 'both' | 'to' | 'from';
  /** One bit in so many bytes towards the server is flipped. */
  readonly corruptEvery?: number;
  /** New connections are refused, and open ones are closed. */
  readonly refuse?: boolean;
}

/** A TCP address in front of another, with faults by order. Disposing closes all connections. */
export interface FaultProxy extends AsyncDisposable {
  /** 127.0.0.1:port */
  readonly address: string;
  /** Bytes that were swallowed so far. */
  readonly swallowed: number;
  /** From now on, for open connections and new ones. */
  inject(fault: ProxyFault): void;
  heal(): void;
  /** Closes all open connections, once. */
  cut(): void;
}

export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const at = target.lastIndexOf(':');
  const [host, port] = [target.slice(0, at), Number(target.slice(at + 1))];
  let fault: ProxyFault = {};
  let swallowed = 0;
  const open = new Set<Socket>();
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  const server = createServer((client) => {
    if (fault.refuse) {
      client.destroy();
      return;
    }
    const upstream = connect(port, host);
    for (const socket of [client, upstream]) {
      socket.setNoDelay(true);
      open.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        open.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const relay = (from: Socket, to: Socket, way: 'to' | 'from') => {
      let passed = 0;
      from.on('data', (chunk: Buffer) => {
        if (fault.swallow === 'both' || fault.swallow === way) {
          swallowed += chunk.length;
          return;
        }
        passed += chunk.length;
        const every = way === 'to' ? fault.corruptEvery : undefined;
        if (every !== undefined && passed >= every) {
          passed = 0;
          chunk[chunk.length - 1] = (chunk.at(-1) ?? 0) ^ 1;
        }
        const write = () => {
          if (!to.destroyed && !to.write(chunk)) {
            from.pause();
            to.once('drain', () => from.resume());
          }
        };
        if (fault.delayMs === undefined) write();
        else setTimeout(write, fault.delayMs);
      });
      from.on('end', () => to.end());
    };
    relay(client, upstream, 'to');
    relay(upstream, client, 'from');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get swallowed() {
      return swallowed;
    },
    inject(next) {
      fault = next;
      if (next.refuse) cut();
    },
    heal() {
      fault = {};
    },
    cut,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}
