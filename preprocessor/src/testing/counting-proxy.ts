import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy that counts round trips: how often the client sends data after having received an answer. */
export interface CountingProxy extends AsyncDisposable {
  readonly port: number;
  /** Round trips since the last reset. */
  roundTrips(): number;
  reset(): void;
  /** While frozen, nothing passes in either direction; the connections stay open. */
  freeze(frozen: boolean): void;
  /** While cut, all connections are closed, and so is each new one. */
  cut(cut: boolean): void;
}

export async function startCountingProxy(target: { host: string; port: number }): Promise<CountingProxy> {
  const sockets = new Set<Socket>();
  let trips = 0;
  let answered = true;
  let frozen = false;
  let severed = false;
  const server = createServer((client) => {
    if (severed) {
      client.destroy();
      return;
    }
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
        sockets.delete(socket);
      });
      if (frozen) socket.pause();
    }
    client.on('data', (bytes) => {
      if (answered) trips++;
      answered = false;
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      answered = true;
      client.write(bytes);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    roundTrips: () => trips,
    reset() {
      trips = 0;
      answered = true;
    },
    freeze(value) {
      frozen = value;
      for (const socket of sockets) value ? socket.pause() : socket.resume();
    },
    cut(value) {
      severed = value;
      if (value) for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
