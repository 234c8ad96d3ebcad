import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { createAuthenticator } from '@hotloop/platform/auth/authorization.ts';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { eventually, logPredictions, makeLive, openStores, push } from '../testing/fixture.ts';
import { openSql } from './open-sql.ts';
import { scanSql, splitStatements } from './sql-scan.ts';

const MANIFEST = `name: churn
task: binary
decision: {labels: [stays, leaves]}
features:
  - {name: visits, from: request.visits, transform: [log1p]}
  - {name: age, from: request.age, missing: 30, range: [0, 120]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
`;
const ONNX = perceptron({ inputs: 4, hidden: [4], outputs: 1, activation: 'tanh', head: 'sigmoid', seed: 3 });

async function openStand(keys?: string, training?: { url: string; apiKey: string | undefined }) {
  const stores = await openStores();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-sql-test-'));
  await makeLive(stores, 'churn', await push(stores, MANIFEST, ONNX));
  const server = await openSql(
    {
      listen: '127.0.0.1:0',
      statementTimeoutMs: 20_000,
      memoryMb: 256,
      databaseUrl: stores.databaseUrl,
      files: folder,
      archive: { objects: stores.objects, folder: undefined },
      ...(training ? { training } : {}),
    },
    { ...stores, authenticator: createAuthenticator(keys) },
  );
  const url = `postgres://anyone@${server.address}/hotloop`;
  return {
    stores,
    folder,
    url,
    async connect(password?: string) {
      const client = new pg.Client({
        connectionString: password === undefined ? url : url.replace('anyone@', `anyone:${password}@`),
      });
      client.on('error', () => undefined);
      await client.connect();
      return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await stores[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const ROWS = `(SELECT n::DOUBLE AS visits, CASE WHEN n % 3 = 0 THEN NULL ELSE n % 90 END AS age, CASE WHEN n % 2 = 0 THEN 'pro' ELSE 'free' END AS plan FROM range(5000) t(n)) t`;

async function failure(
  work: Promise<unknown>,
): Promise<{ code?: string; position?: string; message?: string }> {
  return work.then(
    () => ({}),
    (error: unknown) => error as { code?: string },
  );
}

describe('SQL over the Postgres protocol', () => {
  it('answers predictions over rows, structs and JSON, and by version', async () => {
    await using stand = await openStand();
    await using client = await stand.connect();
    const { rows } = await client.query(
      `SELECT count(*) AS n, sum(predict('churn', t)) AS total, count(predict('churn', t)) AS answered FROM ${ROWS}`,
    );
    expect(rows[0]).toMatchObject({ n: '5000', answered: '5000', total: expect.any(Number) });
    const one = await client.query(
      `SELECT predict('churn', {visits: 4, age: NULL, plan: 'pro'}) AS a, predict('churn@1', '{"visits": 4, "plan": "pro"}') AS b,
         predict($1, $2::JSON) AS c, predict_label('churn', {visits: 4, plan: 'pro'}) AS label, predict_proba('churn', {visits: 4, plan: 'pro'}) AS p`,
      ['churn@live', '{"visits": 4, "plan": "pro"}'],
    );
    const { a, b, c, label, p } = one.rows[0] as Record<string, number> & { p: number[] };
    expect([b, c]).toEqual([a, a]);
    expect(label).toBe((a as number) >= 0.5 ? 'leaves' : 'stays');
    expect(p[1]).toBe(a);
    const refused = await client.query(`SELECT predict('churn', {visits: 1, age: 300, plan: 'pro'})`);
    expect(refused.rows).toEqual([{ predict: null }]);
    const big = await client.query(
      `SELECT predicted_label, count(*)::INTEGER AS n FROM ML.PREDICT(MODEL churn, TABLE ${ROWS.replace(/ t$/, '')}) GROUP BY ALL`,
    );
    expect(big.rows.reduce((sum, row) => sum + Number((row as { n: number }).n), 0)).toBe(5000);
  });

  it('reads the tables of the loop, keeps created tables, and reads and writes only files of its folder', async () => {
    await using stand = await openStand();
    await logPredictions(stand.stores.pool, [
      { model: 'churn', features: [1, 2] },
      { model: 'churn', features: [3, 4] },
    ]);
    await using client = await stand.connect();
    const counted = await client.query(
      `SELECT model, count(*)::INTEGER AS n FROM predictions GROUP BY model`,
    );
    expect(counted.rows).toEqual([{ model: 'churn', n: 2 }]);
    const versions = await client.query(`SELECT version, label FROM versions`);
    expect(versions.rows).toEqual([{ version: 1, label: 'live' }]);
    const made = await client.query(
      `CREATE TABLE scored AS SELECT visits, predict('churn', t) AS score FROM ${ROWS}`,
    );
    expect(made.command).toBe('SELECT');
    await client.query(`COPY scored TO '${stand.folder}/scored.parquet'`);
    await using other = await stand.connect();
    expect(
      (await other.query(`SELECT count(*)::INTEGER AS n FROM '${stand.folder}/scored.parquet'`)).rows,
    ).toEqual([{ n: 5000 }]);
    expect(await failure(other.query(`SELECT * FROM read_csv('/etc/passwd')`))).toMatchObject({
      code: '42501',
    });
    expect(
      await failure(other.query(`SET enable_external_access = true; SELECT * FROM read_csv('/etc/passwd')`)),
    ).toMatchObject({ code: '42501' });
  });

  it('reports errors with the codes and positions of Postgres, and continues', async () => {
    await using stand = await openStand();
    await using client = await stand.connect();
    const cases: [string, string, string | undefined][] = [
      ['SELEC 1', '42601', '1'],
      ['SELECT 1 +\n  nothing', '42703', '14'],
      ['SELECT * FROM nowhere', '42P01', '15'],
      ['SELECT no_such_function(1)', '42883', undefined],
      [`SELECT 'x'::INTEGER`, '22P02', undefined],
      [`SELECT predict('nobody', {a: 1})`, '42704', undefined],
      [`SELECT predict('churn', {visits: 'many', plan: 'pro'})`, '22023', undefined],
      [`SELECT predict('churn', 3)`, '22023', undefined],
      ['DROP TABLE predictions', '42501', undefined],
      ['EXPLAIN ANALYZE DELETE FROM main."versions"', '42501', undefined],
      ['CREATE OR REPLACE VIEW labels AS SELECT 1', '42501', undefined],
      ['CREATE OR REPLACE MACRO predict(model, r) AS 1', '42501', undefined],
      ['SELECT 1\0', '22021', undefined],
    ];
    for (const [sql, code, position] of cases) {
      const found = await failure(client.query(sql));
      expect({ sql, code: found.code }).toEqual({ sql, code });
      if (position !== undefined) expect({ sql, position: found.position }).toEqual({ sql, position });
      expect(found.message).not.toMatch(/Error:|hotloop-sql/);
    }
    await client.query('BEGIN');
    await failure(client.query('SELECT nothing'));
    expect(await failure(client.query('SELECT 1'))).toMatchObject({ code: '25P02' });
    await client.query('ROLLBACK');
    expect(await client.query('SELECT 1 AS one; SELECT 2 AS two')).toHaveLength(2);
  });

  it('ends a long statement by timeout and by the client', async () => {
    await using stand = await openStand();
    await using client = await stand.connect();
    await client.query("SET statement_timeout = '100ms'");
    const long = 'SELECT max(hash(a.range) + b.range) FROM range(1000000) a, range(1000000) b';
    expect(await failure(client.query(long))).toMatchObject({
      code: '57014',
      message: expect.stringContaining('timeout'),
    });
    await client.query('SET statement_timeout = 0');
    const running = failure(client.query(long));
    const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
    let ended = false;
    const result = running.finally(() => {
      ended = true;
    });
    const { hostname, port } = new URL(stand.url);
    const cancel = Buffer.alloc(16);
    for (const [at, value] of [16, 80877102, processID, secretKey].entries())
      cancel.writeInt32BE(value, at * 4);
    // As in Postgres, a cancellation before the statement runs has no effect.
    while (!ended) {
      const socket = createConnection(Number(port), hostname);
      socket.end(cancel);
      await once(socket, 'close');
    }
    expect(await result).toMatchObject({ code: '57014', message: expect.stringContaining('user request') });
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('accepts an API key as password, and hides the log from one that may only predict', async () => {
    await using stand = await openStand('secret-predict-key-1:app:predict,secret-operate-key-1:ops:operate');
    expect(await failure(stand.connect('wrong'))).toMatchObject({ code: '28P01' });
    await using app = await stand.connect('secret-predict-key-1');
    expect((await app.query(`SELECT predict('churn', {visits: 1, plan: 'pro'}) AS x`)).rows).toHaveLength(1);
    expect(await failure(app.query('SELECT * FROM predictions'))).toMatchObject({ code: '42501' });
    expect(await failure(app.query('CREATE TABLE x AS SELECT 1'))).toMatchObject({ code: '42501' });
    await using ops = await stand.connect('secret-operate-key-1');
    await ops.query("CREATE TABLE secrets AS SELECT 'ada' AS name");
    for (const sneaky of [
      'SELECT * FROM secrets',
      'WITH s AS (SELECT * FROM secrets) SELECT count(*) FROM s',
      'SELECT (SELECT max(name) FROM secrets) AS x',
      "SELECT * FROM query_table('secrets')",
      "SELECT * FROM query('FROM secrets')",
      "SELECT * FROM read_csv('/etc/passwd')",
      'SELECT * FROM "read_csv"(\'x.csv\')',
      "FROM 'x.parquet'",
      'EXPLAIN ANALYZE INSERT INTO secrets SELECT 1',
      'WITH s AS (SELECT 1) INSERT INTO secrets SELECT * FROM s',
      'DROP TABLE secrets',
      'SELECT * FROM duckdb_tables()',
    ])
      expect(await failure(app.query(sneaky)), sneaky).toMatchObject({ code: '42501' });
    expect((await ops.query('SELECT name FROM secrets')).rows).toEqual([{ name: 'ada' }]);
    const over = `SELECT predict('churn', t) AS x FROM (SELECT n::DOUBLE AS visits, 1.0 AS age, 'pro' AS plan FROM range(3) r(n)) t`;
    expect((await app.query(over)).rows).toHaveLength(3);
  });

  it('explains rows, and shows labels, corrections and reference rows as tables', async () => {
    await using stand = await openStand();
    await using client = await stand.connect();
    const { rows } = await client.query(
      `SELECT explain('churn', {visits: 4, plan: 'pro'}) AS a, explain('churn', {visits: 4, age: 300, plan: 'pro'}) AS b`,
    );
    const [{ a, b }] = rows as [{ a: string; b: string }];
    expect(JSON.parse(a)).toMatchObject([{ feature: 'visits' }, { feature: 'age' }, { feature: 'plan' }]);
    expect(JSON.parse(b)).toMatchObject({ refused: { message: expect.stringContaining('age') } });
    for (const name of ['labels', 'corrections', 'reference_rows'])
      expect((await client.query(`SELECT count(*)::INTEGER AS n FROM ${name}`)).rows).toEqual([{ n: 0 }]);
  });

  it('shows archived events as a table, each once', async () => {
    await using stand = await openStand();
    await using client = await stand.connect();
    expect((await client.query('SELECT count(*)::INTEGER AS n FROM events')).rows).toEqual([{ n: 0 }]);
    const event = (key: string, arrivalUs: number) => ({
      ...{ key, type: 'view', atMs: Date.UTC(2026, 0, 2, 3), arrivalUs },
      ...{ entities: { user: 'ada' }, fields: { price: 2 } },
    });
    const path = join(stand.folder, 'events.jsonl');
    await writeFile(path, [event('a', 1), event('a', 2), event('b', 3)].map(eventLine).join(''));
    await using archive = await openEventArchive(stand.stores.objects);
    await archive.addFile(path);
    const { rows } = await eventually(async () => {
      const found = await client.query(
        `SELECT type, "at"::VARCHAR AS moment, entities->>'user' AS who, count(*)::INTEGER AS n FROM events GROUP BY ALL`,
      );
      return found.rows.length > 0 ? found : null;
    });
    expect(rows).toEqual([{ type: 'view', moment: '2026-01-02 03:00:00', who: 'ada', n: 2 }]);
  });

  it('shows archived days of the log, and results of batches by id and by schedule, as tables', async () => {
    await using stand = await openStand();
    await using client = await stand.connect();
    const count = async (table: string) =>
      (await client.query(`SELECT count(*)::INTEGER AS n FROM ${table}`)).rows[0]?.n as number;
    expect(await count('archived_decisions')).toBe(0);
    const day = join(stand.folder, 'day.parquet');
    await client.query(
      `COPY (SELECT uuid() AS prediction_id, now() AS at, 'churn' AS model, n::INTEGER AS version FROM range(3) t(n)) TO '${day}' (FORMAT parquet)`,
    );
    await stand.stores.objects.putFile('log/prediction/2026-01-15.parquet', day);
    expect(await count(`archived_predictions WHERE model = 'churn' AND version > 0`)).toBe(2);
    const runId = '01890000-0000-7000-8000-000000000001';
    const insert = (sink: string, schedule: string, at: string) =>
      stand.stores.pool.query(
        `INSERT INTO batch_run (run_id, model, version, key, source, sink, schedule, state, created_at, ended_at)
         VALUES ($1, 'churn', 1, $3, 'rows.csv', $2, $3, 'done', $4, $4)`,
        [schedule === 'nightly' ? runId : runId.replace(/1$/, '2'), sink, schedule, at],
      );
    const output = join(stand.folder, 'out');
    await mkdir(output);
    await client.query(
      `COPY (SELECT n AS "row", 0.5 AS score FROM range(4) t(n)) TO '${output}/part-00000.parquet' (FORMAT parquet)`,
    );
    await insert(output, 'nightly', '2026-01-02');
    await insert('/elsewhere/scores.parquet', 'other', '2026-01-03');
    expect(await count(`batch_output('nightly') WHERE score = 0.5`)).toBe(4);
    expect(await count(`batch_output('${runId}') b JOIN batch_output('nightly') USING ("row")`)).toBe(4);
    expect(await count(`batches WHERE state = 'done'`)).toBe(2);
    expect(await failure(count(`batch_output('other')`))).toMatchObject({
      message: expect.stringMatching(/HOTLOOP_SQL_FILES/),
    });
    expect(await failure(count(`batch_output('nobody')`))).toMatchObject({ code: '42704' });
  });

  it('starts a training by CREATE MODEL, drafted from the columns, for permitted callers', async () => {
    const asked: { query: URLSearchParams; body: string }[] = [];
    const control = createServer(async (request, response) => {
      asked.push({ query: new URL(request.url ?? '', 'http://x').searchParams, body: await text(request) });
      response.end(
        JSON.stringify({ model: 'clicks', version: 1, created: true, examples: 200, dataset: 'd' }),
      );
    });
    control.listen(0, '127.0.0.1');
    await once(control, 'listening');
    try {
      const url = `http://127.0.0.1:${(control.address() as AddressInfo).port}`;
      const keys = 'secret-predict-key-1:app:predict,secret-operate-key-1:ops:operate';
      await using stand = await openStand(keys, { url, apiKey: undefined });
      await using ops = await stand.connect('secret-operate-key-1');
      const rows = `SELECT n % 17 AS visits, n % 2 = 0 AS clicked FROM range(200) t(n)`;
      const made = await ops.query(`CREATE MODEL clicks OPTIONS (label = 'clicked') AS ${rows}`);
      expect(made.rows).toEqual([
        { model: 'clicks', version: '1', created: 'true', examples: '200', dataset: 'd' },
      ]);
      expect(asked[0]?.query.get('label')).toBe('clicked');
      const body = Buffer.from(asked[0]?.body ?? '');
      const manifestBytes = Number(asked[0]?.query.get('manifest_bytes'));
      expect(body.subarray(0, manifestBytes).toString()).toContain('name: clicks');
      expect(body.subarray(manifestBytes).toString().split('\n')).toHaveLength(202);
      expect(await failure(ops.query(`CREATE MODEL churn AS ${rows}`))).toMatchObject({ code: '42P07' });
      expect(await failure(ops.query('CREATE MODEL x AS DROP TABLE y'))).toMatchObject({ code: '22023' });
      await using app = await stand.connect('secret-predict-key-1');
      expect(await failure(app.query(`CREATE MODEL m AS ${rows}`))).toMatchObject({ code: '42501' });
    } finally {
      control.close();
      control.closeAllConnections();
    }
  });

  it('answers psql as it answers node-postgres', async () => {
    await using stand = await openStand();
    const query = `SELECT visits, predict_label('churn', t) AS label, predict('churn', t) AS score FROM ${ROWS} ORDER BY visits LIMIT 20`;
    const psql = await promisify(execFile)('psql', [stand.url, '-At', '-c', query]).catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return null;
        throw error;
      },
    );
    if (psql === null) return void process.stderr.write('skipped: psql is not installed\n');
    await using client = await stand.connect();
    const { rows } = await client.query({ text: query, rowMode: 'array' });
    expect(psql.stdout.trim().split('\n')).toEqual(rows.map((row: unknown[]) => row.join('|')));
    // Tables are listed before a statement has named them.
    const shown = ['-At', '-c', '\\dt', '-c', '\\d outcomes', '-c', '\\l'];
    const { stdout } = await promisify(execFile)('psql', [stand.url, ...shown]);
    expect(stdout).toContain('main|predictions|table|hotloop');
    expect(stdout).toContain('received_at|timestamp with time zone|');
  });
});

describe('scanning SQL', () => {
  it('does not change texts, names and comments', () => {
    const sql = `SELECT 'a;b', "c;d", $$e;f$$ -- ;\n; /* ; */ SELECT 2;`;
    expect(splitStatements(sql).map((each) => each.sql)).toEqual([
      `SELECT 'a;b', "c;d", $$e;f$$`,
      'SELECT 2',
    ]);
    expect(scanSql(`predict('it''s', t)`).map(({ kind }) => kind)).toEqual([
      'word',
      'symbol',
      'text',
      'symbol',
      'word',
      'symbol',
    ]);
  });
});
