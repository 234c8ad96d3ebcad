import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import { openDuckDb } from '@hotloop/platform/duckdb/duckdb.ts';
import { openHttpServer } from '@hotloop/platform/http/http-server.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { openMetrics } from '@hotloop/platform/telemetry/metrics.ts';
import { createMigratedDatabase, createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { describe, expect, it } from 'vitest';
import { tableRoutes } from '../http/table-routes.ts';
import { openReferenceReader } from './reference-reader.ts';
import { TableStore } from './table-store.ts';
import { watchTables } from './watch-tables.ts';

const log = silentLog();
const SCHEMA = {
  key: 'id',
  columns: {
    segment: { type: 'text', allowed: ['new', 'loyal'] },
    age: { type: 'number', range: [0, 150], optional: true },
    member: { type: 'flag', optional: true },
  },
};

async function open() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createMigratedDatabase());
  const pool = stack.use(openPool(database.url, { max: 2, queryTimeoutMs: 5000, application: 'test', log }));
  const cache = stack.use(await createTestRedis('cache'));
  const redis = stack.use(
    await openRedis(cache.url, { commandTimeoutMs: 2000, role: 'cache', name: 'test', log }),
  );
  const metrics = stack.use(openMetrics('test'));
  const store = new TableStore(pool);
  const server = stack.use(
    await openHttpServer(
      { listen: '127.0.0.1:0', title: 'test', routes: [tableRoutes(store)] },
      { authenticator: createAuthenticator(undefined), metrics, log },
    ),
  );
  const send = async (
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    type = 'application/json',
  ) => {
    const response = await fetch(`http://${server.address}/v1/tables${path}`, {
      method,
      ...(body === undefined ? {} : { body, headers: { 'content-type': type } }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the test asserts.
    return { status: response.status, body: (await response.json()) as any };
  };
  await send('PUT', '/customers', JSON.stringify(SCHEMA));
  const upload = (body: string | Uint8Array<ArrayBuffer>, type = 'text/csv', query = '') =>
    send('POST', `/customers/versions${query}`, body, type);
  const reader = stack.use(await openReferenceReader(store, redis, log, { budgetMs: 5000 }));
  const segment = async (key: string) => {
    await reader.refresh();
    const rows = await reader.read([{ table: 'customers', key }], 5000);
    return rows?.[0]?.fields.segment;
  };
  return {
    send,
    upload,
    reader,
    segment,
    redis,
    store,
    pool,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('reference tables', () => {
  it('are declared, uploaded as CSV, JSON lines or Parquet, switched atomically, and read', async () => {
    await using tables = await open();
    expect(await tables.segment('u1')).toBeUndefined();
    const csv = '\ufeffid,segment,age,extra\r\nu1,new,30,x\r\nu2,loyal,,y\r\n';
    expect((await tables.upload(csv)).body).toEqual({
      ...{ table: 'customers', version: 1, rows: 2, refused: 0, refused_rows: [] },
    });
    expect([await tables.segment('u1'), await tables.segment('u2'), await tables.segment('u3')]).toEqual([
      'new',
      'loyal',
      undefined,
    ]);
    const lines = '{"id":"u1","segment":"loyal","member":true}\n{"id":7,"segment":"new"}\n';
    expect((await tables.upload(lines, 'application/x-ndjson')).body.version).toBe(2);
    expect([await tables.segment('u1'), await tables.segment('u2'), await tables.segment('7')]).toEqual([
      'loyal',
      undefined,
      'new',
    ]);
    await using database = await openDuckDb();
    const path = join(database.temporaryFolder, 'rows.parquet');
    await database.writeParquet(
      "SELECT 'u' || range AS id, 'new' AS segment, 20.5 AS age FROM range(3000)",
      path,
    );
    const parquet = new Uint8Array(await readFile(path));
    expect((await tables.upload(parquet, 'application/vnd.apache.parquet')).body.rows).toBe(3000);
    expect(await tables.segment('u2999')).toBe('new');
    expect((await tables.send('GET', '')).body.tables).toMatchObject([
      { name: 'customers', version: 3, rows: 3000 },
    ]);
  });

  it('report the lines of rejected rows, and stay unchanged', async () => {
    await using tables = await open();
    await tables.upload('id,segment\nu1,new\n');
    const bad =
      'id,segment,age\nu1,old,3\nu2,new,200\nu3,new,many\nu4,new\n,new,1\nu6,loyal,1\nu6,new,2\nu7,new\0,1\n';
    const refused = await tables.upload(bad);
    expect(refused).toMatchObject({ status: 400, body: { reason: 'refused_rows' } });
    for (const part of [
      'line 2: segment: "old" is not allowed',
      'line 3: age: 200 is outside 0 to 150',
      'line 4: age: "many" is not a number',
      'line 5: has 2 values, the header 3',
      'line 6: id: the key',
      'line 8: id: "u6" appears in an earlier row',
      'line 9: segment: contains a NUL',
    ])
      expect(refused.body.detail).toContain(part);
    const latin = Buffer.from('id,segment\nu\xe9,new\n', 'latin1');
    expect((await tables.upload(latin)).body.detail).toContain(
      'line 2: id: contains bytes that are not UTF-8',
    );
    const lines = '{"id":"u1","segment":"new","age":"33"}\n{"id":"u2","segment":"new","member":"true"}\n';
    const texts = (await tables.upload(lines, 'application/x-ndjson')).body.detail;
    expect(texts).toContain('line 1: age: the text "33" is not a number');
    expect(texts).toContain('line 2: member: the text "true" is not a flag');
    expect(await tables.segment('u1')).toBe('new');
    const skipped = await tables.upload(bad, 'text/csv', '?max_refused=10');
    expect(skipped.body).toMatchObject({ rows: 1, refused: 7 });
    expect([await tables.segment('u1'), await tables.segment('u6')]).toEqual([undefined, 'loyal']);
  });

  it('reject a file that cannot be read, and say why', async () => {
    await using tables = await open();
    for (const [body, type, reason] of [
      ['id;segment\nu1;new\n', 'text/csv', 'delimiter'],
      ['', 'text/csv', 'empty'],
      ['id,segment\n', 'text/csv', 'no rows'],
      ['PAR1', 'application/vnd.apache.parquet', 'not Parquet'],
      ['{"id":"a","id":"b"}\n', 'application/x-ndjson', 'appears twice'],
      ['id,segment\n"u1,new\n', 'text/csv', 'not CSV'],
    ] as const) {
      const answer = await tables.upload(body, type);
      expect(answer.status).toBe(400);
      expect(answer.body.detail).toContain(reason);
    }
  });

  it('answer the next request of a connection whose large file was rejected at its first line', async () => {
    await using tables = await open();
    const large = `wrong\n${'x'.repeat(99)}\n`.repeat(4_000);
    for (let turn = 0; turn < 3; turn++) {
      expect((await tables.upload(large)).status).toBe(400);
      expect((await tables.upload('id,segment\nu1,new\n')).status).toBe(200);
    }
  });

  it('reject uploads to undeclared tables, and contradictory schemas', async () => {
    await using tables = await open();
    expect((await tables.send('POST', '/none/versions', 'id\n1\n', 'text/csv')).status).toBe(404);
    const schema = { key: 'id', columns: { id: { type: 'text' } } };
    expect((await tables.send('PUT', '/odd', JSON.stringify(schema))).status).toBe(400);
  });

  it('are read from memory, from Redis and from Postgres, and return null when none answers in time', async () => {
    await using tables = await open();
    await tables.upload('id,segment\nu1,new\n');
    expect(await tables.segment('u1')).toBe('new');
    const asked: string[] = [];
    const store = {
      liveVersions: () => tables.store.liveVersions(),
      rows: async (name: string, version: number, keys: readonly string[]) => {
        asked.push(...keys);
        if (keys.includes('never')) return new Promise<never>(() => undefined);
        return tables.store.rows(name, version, keys);
      },
    };
    await using reader = await openReferenceReader(store, tables.redis, log, { budgetMs: 50 });
    const read = (key: string) => reader.read([{ table: 'customers', key }], 1000);
    await expect.poll(() => tables.redis.exists('reference:customers 1 u1')).toBe(1);
    expect((await read('u1'))?.[0]?.fields.segment).toBe('new');
    expect(asked).toEqual([]);
    await read('u9');
    await read('u9');
    expect(asked).toEqual(['u9']);
    expect(await read('never')).toBeNull();
  });

  it('uploads watched files when they change, once among several nodes, and not again when they are rejected', async () => {
    await using opened = await open();
    const { pool, store, segment } = opened;
    await using folder = await mkdtempDisposable(join(tmpdir(), 'hotloop-watched-'));
    const files = directoryObjectStore(folder.path);
    await files.put('customers.csv', Buffer.from('id,segment\nc1,new\n'));
    await files.put('unknown.csv', Buffer.from('id\nx\n'));
    await files.put('notes.txt', Buffer.from('nothing'));
    await using _one = watchTables({ pool, tables: store, files, log }, 20);
    await using _two = watchTables({ pool, tables: store, files, log }, 20);
    await expect.poll(() => segment('c1'), { timeout: 20_000 }).toBe('new');
    const versions = async () =>
      (await pool.query("SELECT version FROM reference_version WHERE table_name = 'customers'")).rowCount;
    expect(await versions()).toBe(1);
    await files.put('customers.csv', Buffer.from('id,segment\nc1,nonsense and more\n'));
    const state = async () => (await pool.query('SELECT state, problem FROM reference_file')).rows[0];
    await expect.poll(async () => (await state()).state, { timeout: 20_000 }).toBe('refused');
    expect((await state()).problem).toContain('line 2: segment');
    expect(await segment('c1')).toBe('new');
    await files.put('customers.csv', Buffer.from('id,segment\nc1,loyal\nc2,new\n'));
    await expect.poll(() => segment('c1'), { timeout: 20_000 }).toBe('loyal');
  });
});
