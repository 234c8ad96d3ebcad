import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

const USER = 'tour_shop';
const PASSWORD = 'tour';

/**
 * The business database of the tour: a database in the platform's Postgres, at an address that is known before
 * Postgres starts.
 */
export interface BusinessDatabase extends AsyncDisposable {
  readonly name: string;
  readonly user: string;
  readonly password: string;
  readonly url: string;
  /** Forwards connections to this Postgres from now on. */
  forwardTo(databaseUrl: string): void;
}

export async function openBusinessDatabase(): Promise<BusinessDatabase> {
  let target: URL | undefined;
  const open = new Set<Socket>();
  const server: Server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => socket.destroy());
    if (target === undefined) return void socket.destroy();
    const other = connect(Number(target.port || 5432), target.hostname);
    other.on('error', () => socket.destroy());
    socket.on('close', () => other.destroy());
    other.on('close', () => socket.destroy());
    socket.pipe(other).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    name: USER,
    user: USER,
    password: PASSWORD,
    url: `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/${USER}`,
    forwardTo(databaseUrl) {
      target = new URL(databaseUrl);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
