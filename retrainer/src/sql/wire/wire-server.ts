import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Authenticator } from '@hotloop/platform/auth/authorization.ts';
import { formatAddress, parseListenAddress } from '@hotloop/platform/grpc/listen-address.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { SqlEngine } from '../sql-engine.ts';
import { PARAMETERS } from './session-statements.ts';
import { errorMessage, message } from './wire-messages.ts';
import { WireSession } from './wire-session.ts';

export interface WireServerOptions {
  /** host:port; port 0 selects a free one. Addresses other than loopback require API keys. */
  readonly listen: string;
  readonly statementTimeoutMs: number;
  readonly maxSessions: number;
}

export interface WireServer extends AsyncDisposable {
  readonly address: string;
}

const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const PROTOCOL_3 = 3;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/**
 * Serves the Postgres protocol, so that psql, JDBC, pandas and BI tools can connect unmodified. The password is an API key, if
 * keys are used; the user name is ignored.
 */
export async function startWireServer(
  engine: SqlEngine,
  authenticator: Authenticator,
  options: WireServerOptions,
  log: Log,
): Promise<WireServer> {
  const { host, port, isLoopback } = parseListenAddress(options.listen);
  if (!isLoopback && !authenticator.required)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${options.listen} can be reached from other machines: set HOTLOOP_API_KEYS`,
      { reason: 'open_without_keys' },
    );
  const sessions = new Map<number, { readonly secret: number; readonly session: WireSession }>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    serve(socket).catch((error: unknown) => {
      if (!socket.destroyed) log.warn({ error }, 'a SQL session ended with an error');
      socket.destroy();
    });
  });

  async function serve(socket: Socket): Promise<void> {
    const read = reader(socket);
    const started = await start(socket, read);
    if (started === undefined) return;
    if (sessions.size >= options.maxSessions) return refuse(socket, '53300', 'too many SQL sessions');
    const rights = await rightsOf(socket, read);
    if (rights === undefined) return;
    using session = new WireSession(engine, await engine.database.connect(), {
      rights,
      statementTimeoutMs: options.statementTimeoutMs,
      write: (bytes) => write(socket, bytes),
    });
    const id = randomInt(1, 2 ** 31 - 1);
    const secret = randomInt(1, 2 ** 31 - 1);
    sessions.set(id, { secret, session });
    socket.once('close', () => session.cancel());
    try {
      const told = Object.entries(PARAMETERS).map(([name, value]) => message('S', name, value));
      await write(
        socket,
        Buffer.concat([message('R', 0), ...told, message('K', id, secret), message('Z', Buffer.from('I'))]),
      );
      for (;;) {
        const type = (await read(1)).toString('latin1');
        if (!(await session.take(type, await body(read)))) break;
      }
      socket.end();
    } finally {
      sessions.delete(id);
    }
  }

  /** Reads the first message; undefined if the connection has another purpose, such as a cancellation. */
  async function start(socket: Socket, read: Read): Promise<true | undefined> {
    for (;;) {
      const first = await body(read);
      const code = first.readInt32BE();
      if (code === SSL_REQUEST || code === GSS_REQUEST) {
        await write(socket, Buffer.from('N'));
        continue;
      }
      if (code === CANCEL_REQUEST) {
        const found = sessions.get(first.readInt32BE(4));
        if (found && found.secret === first.readInt32BE(8)) found.session.cancel();
        socket.end();
        return undefined;
      }
      if (code >> 16 === PROTOCOL_3) return true;
      await refuse(socket, '08P01', 'only version 3 of the protocol is spoken');
      return undefined;
    }
  }

  async function rightsOf(socket: Socket, read: Read) {
    if (!authenticator.required) return { mayReadTables: true };
    await write(socket, message('R', 3));
    const type = (await read(1)).toString('latin1');
    const key = await body(read);
    if (type !== 'p') return undefined;
    try {
      const bearer = `Bearer ${key.toString('utf8', 0, key.length - 1)}`;
      const { roles, models } = await authenticator.authenticate((name) =>
        name === 'authorization' ? bearer : undefined,
      );
      if (models !== undefined) {
        await refuse(socket, '42501', 'the key is limited to some models, and SQL sees all of them');
        return undefined;
      }
      if (roles.has('predict') || roles.has('operate')) return { mayReadTables: roles.has('operate') };
      await refuse(socket, '42501', 'the key has neither the role predict nor operate');
    } catch (error) {
      await refuse(socket, '28P01', `the password must be an API key: ${toHotloopError(error).message}`);
    }
    return undefined;
  }

  server.listen(port, host);
  await Promise.race([
    once(server, 'listening'),
    once(server, 'error').then(([cause]) => {
      throw new HotloopError('UNAVAILABLE', `cannot listen on ${options.listen}`, { cause });
    }),
  ]);
  return {
    address: formatAddress(host, (server.address() as { port: number }).port),
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const { session } of sessions.values()) session.cancel('terminating connection: the server stops');
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

type Read = (length: number) => Promise<Buffer>;

async function body(read: Read): Promise<Buffer> {
  const length = (await read(4)).readInt32BE() - 4;
  if (length < 0 || length > MAX_MESSAGE_BYTES)
    throw new HotloopError('INVALID_ARGUMENT', `a message of ${length} bytes is not taken`);
  return length === 0 ? Buffer.alloc(0) : read(length);
}

/** Reads an exact number of bytes; rejects when the connection ends. */
function reader(socket: Socket): Read {
  let pending = Buffer.alloc(0);
  let wake = Promise.withResolvers<void>();
  socket.on('data', (bytes) => {
    pending = pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([pending, bytes as Buffer]);
    wake.resolve();
  });
  socket.once('close', () => wake.resolve());
  return async (length) => {
    while (pending.length < length) {
      if (socket.destroyed || socket.readableEnded)
        throw new HotloopError('CANCELLED', 'the client has gone');
      wake = Promise.withResolvers();
      await wake.promise;
    }
    const bytes = pending.subarray(0, length);
    pending = pending.subarray(length);
    return bytes;
  };
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  if (socket.destroyed) throw new HotloopError('CANCELLED', 'the client has gone');
  if (!socket.write(bytes)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
}

async function refuse(socket: Socket, code: string, text: string): Promise<void> {
  await write(socket, errorMessage({ code, message: text }, 'FATAL'));
  socket.end();
}
