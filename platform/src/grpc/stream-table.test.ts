import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { loadDefinitions } from '@hotloop/proto/definitions.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createAuthenticator } from '../auth/authorization.ts';
import { silentLog } from '../log.ts';
import type { Http2Session } from './http2-sessions.ts';
import { startGrpcServer } from './server.ts';
import { replaceStreamTable, StreamTable } from './stream-table.ts';

describe('a table of streams', () => {
  const step = fc.record({ isSet: fc.boolean(), id: fc.nat(40).map((number) => number * 2 + 1) });

  it('contains the same entries as a Map', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const table = new StreamTable<string>();
        const map = new Map<number, string>();
        for (const [index, { isSet, id }] of steps.entries()) {
          if (isSet) {
            table.set(id, `stream ${index}`);
            map.set(id, `stream ${index}`);
          } else expect(table.delete(id)).toBe(map.delete(id));
          expect([table.size, table.has(id), table.get(id)]).toEqual([map.size, map.has(id), map.get(id)]);
        }
        const visited: [number, string][] = [];
        table.forEach((stream, id) => {
          visited.push([id, stream]);
        });
        const sorted = [...map].sort(([one], [other]) => one - other);
        expect(visited).toEqual(sorted);
        expect([...table]).toEqual(sorted);
        expect([...table.entries()]).toEqual(sorted);
        expect([[...table.keys()], [...table.values()]]).toEqual([
          sorted.map(([id]) => id),
          sorted.map(([, stream]) => stream),
        ]);
        table.clear();
        expect([table.size, ...table]).toEqual([0]);
      }),
    );
  });

  it('allows removing streams during iteration', () => {
    const table = new StreamTable<string>();
    for (const id of [1, 3, 5]) table.set(id, 'stream');
    const visited: number[] = [];
    table.forEach((_, id) => {
      visited.push(id);
      for (const gone of [1, 3]) table.delete(gone);
    });
    expect(visited).toEqual([1, 5]);
    expect(table.size).toBe(1);
  });
});

interface Connection extends AsyncDisposable {
  readonly client: ClientHttp2Session;
  readonly server: ServerHttp2Session;
  readonly isReplaced: boolean;
}

/** A connection to a server that answers /echo, and never answers anything else. */
async function connected(): Promise<Connection> {
  const server = createServer();
  let isReplaced = false;
  const session = new Promise<ServerHttp2Session>((resolve) => {
    server.on('session', (opened) => {
      isReplaced = replaceStreamTable(opened as unknown as Http2Session);
      resolve(opened);
    });
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    if (headers[':path'] !== '/echo') return;
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => undefined);
  return {
    client,
    server: await session,
    isReplaced,
    async [Symbol.asyncDispose]() {
      client.destroy();
      const closed = new Promise((resolve) => server.close(resolve));
      await closed;
    },
  };
}

/** Node's internal state of a connection. */
function stateOf(session: ServerHttp2Session): object {
  const symbol = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state');
  return Reflect.get(session, symbol as symbol) as object;
}

function tableOf(session: ServerHttp2Session): StreamTable<unknown> {
  return Reflect.get(stateOf(session), 'streams') as StreamTable<unknown>;
}

function setTable(session: ServerHttp2Session, table: StreamTable<unknown>): void {
  Reflect.set(stateOf(session), 'streams', table);
}

describe('a connection of the runtime', () => {
  it('keeps its streams in such a table, and none of them after its end', async () => {
    await using connection = await connected();
    expect(connection.isReplaced).toBe(true);
    const table = tableOf(connection.server);
    expect(table).toBeInstanceOf(StreamTable);
    const calls = Array.from({ length: 200 }, async (_, index) => {
      const call = connection.client.request({ ':path': '/echo', ':method': 'POST' });
      call.end(`message ${index}`);
      let text = '';
      for await (const chunk of call.setEncoding('utf8')) text += chunk;
      expect(text).toBe(`message ${index}`);
    });
    await Promise.all(calls);
    await expect.poll(() => table.size).toBe(0);
  });

  it('has one in every gRPC server', async () => {
    const tables: unknown[] = [];
    const look = (message: unknown) => {
      const { stream } = message as { stream: { session: ServerHttp2Session } };
      tables.push(tableOf(stream.session));
    };
    subscribe('http2.server.stream.created', look);
    try {
      await using server = await startGrpcServer({
        services: [],
        definitions: loadDefinitions(['hotloop/v1/decision.proto']),
        address: '127.0.0.1:0',
        authenticator: createAuthenticator(undefined),
        log: silentLog(),
      });
      const client = connect(`http://${server.address}`);
      client
        .request({ ':path': '/grpc.health.v1.Health/Check', ':method': 'POST' })
        .on('error', () => undefined);
      await expect.poll(() => tables).toEqual([expect.any(StreamTable)]);
      client.destroy();
    } finally {
      unsubscribe('http2.server.stream.created', look);
    }
  });

  it('ends all open streams when it is destroyed', async () => {
    await using connection = await connected();
    const calls = Array.from({ length: 20 }, () =>
      connection.client.request({ ':path': '/never', ':method': 'POST' }),
    );
    for (const call of calls) call.on('error', () => undefined);
    await expect.poll(() => tableOf(connection.server).size).toBe(20);
    const ended = calls.map((call) => new Promise((resolve) => call.on('close', resolve)));
    connection.server.destroy();
    await Promise.all(ended);
    expect(tableOf(connection.server).size).toBe(0);
  });

  it('is not changed when it already has streams, or keeps them elsewhere', async () => {
    await using connection = await connected();
    const call = connection.client.request({ ':path': '/never', ':method': 'POST' });
    call.on('error', () => undefined);
    const table = tableOf(connection.server);
    await expect.poll(() => table.size).toBe(1);
    expect(replaceStreamTable(connection.server as unknown as Http2Session)).toBe(false);
    expect(tableOf(connection.server)).toBe(table);
    expect(replaceStreamTable({} as Http2Session)).toBe(false);
    for (const streams of [[], new Set(), undefined])
      expect(replaceStreamTable({ [Symbol('state')]: { streams } } as unknown as Http2Session)).toBe(false);
    expect(replaceStreamTable({ [Symbol('state')]: { streams: new Map() } } as unknown as Http2Session)).toBe(
      true,
    );
  });

  it('uses only methods that the table has, until the end of a connection that closes with open calls', async () => {
    await using connection = await connected();
    const asked = new Set<string | symbol>();
    const table = tableOf(connection.server);
    const watched = new Proxy(table, {
      get(target, name) {
        asked.add(name);
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    });
    setTable(connection.server, watched);
    const open = () => {
      const call = connection.client.request({ ':path': '/never', ':method': 'POST' });
      return call.on('error', () => undefined);
    };
    const [one, other] = [open(), open()];
    await expect.poll(() => table.size).toBe(2);
    one.close(8);
    await expect.poll(() => table.size).toBe(1);
    const closed = new Promise((resolve) => connection.server.on('close', resolve));
    connection.server.close();
    other.close(8);
    await closed;
    expect(asked).toContain('set');
    expect([...asked].filter((name) => !(name in table))).toEqual([]);
  });
});
