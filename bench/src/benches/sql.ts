import { join } from 'node:path';
import { installStatements } from '@hotloop/cli/commands/sql-install.ts';
import { openSqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import { connectSql } from '@hotloop/platform/postgres/sql-client.ts';
import { memoryBundleStore } from '@hotloop/platform/registry/memory-bundle-store.ts';
import { inputExpression } from '@hotloop/retrainer/batch/source-columns.ts';
import { openVersionScorer } from '@hotloop/retrainer/scoring/version-scorer.ts';
import type { Bench } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { type ClientRows, sqlClients } from '../peers/sql-clients.ts';
import { type EnginesStand, startEnginesStand } from '../stand/engines-stand.ts';

const ROWS = 5_000_000;
const CLIENT_ROWS = 2_000;
const LINKED_ROWS = 1_000;

/**
 * `SELECT sum(predict(...))` compared with the same rows as a batch; a set of queries by every client, compared with
 * DuckDB's own answers; and `hotloop.predict` in Postgres, compared with the client library. `--rows` for fewer rows.
 */
export const sqlBench: Bench = async ({ rounds, rows = ROWS, say }): Promise<Figure[]> => {
  await using stand = await startEnginesStand();
  const source = await stand.writeRows('rows.parquet', rows);
  await using sql = await connectSql(stand.sqlUrl);
  const speeds: number[] = [];
  for (let round = 0; round < Math.min(rounds, 3); round++) {
    const batchSeconds = await stand.batch(source, join(stand.folder, `out-${round}`));
    const begun = performance.now();
    await sql.query(`SELECT sum(predict('${stand.manifest.name}', t)) FROM '${source}' t`);
    const seconds = (performance.now() - begun) / 1000;
    say(`${rows} rows: batch ${Math.round(rows / batchSeconds)}, SQL ${Math.round(rows / seconds)} rows/s`);
    speeds.push(batchSeconds / seconds);
  }
  const { differences, clients } = await clientDifferences(stand, say);
  return [
    figure('sql_rows', speeds, { atLeast: 0.5 }),
    figure('sql_clients', [differences], { atMost: 0 }),
    figure('sql_clients_asked', [clients]),
    figure('dblink_ratio', await linkedRatios(stand, rounds, say), { atMost: 3 }),
  ];
};

/** Cells that differ from DuckDB's own, over all clients and queries. */
async function clientDifferences(
  stand: EnginesStand,
  say: (line: string) => void,
): Promise<{ differences: number; clients: number }> {
  const path = await stand.writeRows('clients.parquet', CLIENT_ROWS);
  const queries = queriesOver(path, stand.manifest.name);
  const expected = await ownAnswers(stand, queries);
  const clients = await sqlClients(say);
  let differences = 0;
  for (const { name, ask } of clients) {
    const given = await ask(stand.sqlUrl, queries, stand.folder);
    const wrong = queries.filter((_, at) => !isSame(expected[at], given[at]));
    say(
      `${name}: ${queries.length} queries, ${wrong.length} differ${wrong[0] ? `, first: ${wrong[0]}` : ''}`,
    );
    differences += wrong.length;
  }
  return { differences, clients: clients.length };
}

/** The same queries directly in DuckDB, without the Postgres protocol, with the model's function over its columns. */
async function ownAnswers(stand: EnginesStand, queries: readonly string[]): Promise<ClientRows> {
  const { manifest, manifestYaml, onnx } = stand;
  const bundles = memoryBundleStore();
  const bundleSha256 = await bundles.put({ manifestYaml, onnx });
  const record = {
    model: manifest.name,
    version: 1,
    bundleSha256,
    onnxSha256: '',
    manifest,
    parentVersion: null,
  };
  using scorer = await openVersionScorer(bundles, record);
  await using database = await openSqlDatabase({ memoryMb: 512, threads: 1, files: true });
  await database.register({
    name: 'score',
    parameters: scorer.parameters,
    returns: 'float64',
    run: (columns, count) => scorer.score(columns, count),
  });
  using connection = await database.connect();
  const call = scorer.inputs.map((input) => inputExpression(input, () => '')).join(', ');
  const all = [];
  for (const query of queries) {
    using statement = await connection.prepare(
      query.replaceAll(`predict('${manifest.name}', t)`, `score(${call})`),
    );
    const found: (string | null)[][] = [];
    for await (const batch of statement.run([])) found.push(...batch);
    all.push(found);
  }
  return all;
}

/** 200 queries: every type that clients decode differently, filters, groups, windows and predictions. */
function queriesOver(path: string, model: string): string[] {
  const from = `FROM '${path}' t`;
  const predict = `predict('${model}', t)`;
  return Array.from({ length: 20 }, (_, n) => [
    `SELECT id, id * 1000000007 AS big, id % 3 = 0 AS flag, NULL::INTEGER AS nothing ${from} WHERE id % 20 = ${n} ORDER BY id`,
    `SELECT id, id / 7.0 AS share, -id / 3.0 AS negative, 1e300 * id AS huge, 1e-300 / (id + 1) AS tiny ${from} WHERE id % 40 = ${n} ORDER BY id`,
    `SELECT chr(230 + id::INTEGER % 90) || ' "quoted" it''s ' || id AS text, CASE WHEN id % 2 = 0 THEN '' END AS empty ${from} WHERE id % 50 = ${n} ORDER BY id`,
    `SELECT DATE '2026-01-01' + (id::INTEGER % 900) AS day, TIMESTAMP '2026-01-01 12:34:56' + INTERVAL (id::INTEGER) MINUTE AS moment ${from} WHERE id % 30 = ${n} ORDER BY id`,
    `SELECT (id % 100)::SMALLINT AS small, (id % 1000)::INTEGER AS whole, (id / 8)::DECIMAL(12, 3) AS money ${from} WHERE id % 25 = ${n} ORDER BY id`,
    `SELECT id % 5 AS part, count(*) AS n, min(id) AS low, max(id / 4.0) AS high ${from} WHERE id > ${n * 10} GROUP BY 1 ORDER BY 1`,
    `SELECT id, ${predict} AS score ${from} WHERE id % 20 = ${n} ORDER BY id`,
    `SELECT count(${predict}) AS n, min(${predict}) AS low, max(${predict}) AS high ${from} WHERE id % 20 = ${n}`,
    `SELECT id, row_number() OVER (ORDER BY ${predict} DESC, id) AS place ${from} WHERE id % 20 = ${n} ORDER BY id`,
    `SELECT id, round(${predict}, 3)::FLOAT AS rounded, ${predict} > 0.5 AS likely ${from} WHERE id % 40 = ${n} ORDER BY id`,
  ]).flat();
}

function isSame(a: ClientRows[number] | undefined, b: ClientRows[number] | undefined): boolean {
  if (a?.length !== b?.length) return false;
  return (a ?? []).every((row, at) => {
    const other = b?.[at] ?? [];
    return row.length === other.length && row.every((value, column) => plain(value) === plain(other[column]));
  });
}

/** Converts values to text: drivers return numbers, flags and times as values of their language, in different forms. */
function plain(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (value instanceof Date)
    return moment(new Date(value.getTime() - value.getTimezoneOffset() * 60_000).toISOString());
  const text = typeof value === 'boolean' ? (value ? 't' : 'f') : String(value);
  if (text !== '' && Number.isFinite(Number(text))) return String(Number(text));
  return moment(text);
}

/** A day or a time without what drivers add: zero fractions, T, Z, midnight. */
function moment(text: string): string {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?Z?)?$/.exec(text);
  if (!match) return text;
  const [, day, time = '00:00:00', fraction = ''] = match;
  const rest = fraction.replace(/0+$/, '');
  return `${day} ${time}${rest === '' ? '' : `.${rest}`}`;
}

/**
 * Milliseconds of one call with 1,000 rows: in an unmodified Postgres, divided by the same through the client
 * library.
 */
async function linkedRatios(
  stand: EnginesStand,
  rounds: number,
  say: (line: string) => void,
): Promise<number[]> {
  const { local, client, manifest, connection, folder } = stand;
  const rows = (await connection.rows(
    `SELECT * EXCLUDE (id) FROM '${join(folder, 'clients.parquet')}' LIMIT ${LINKED_ROWS}`,
  )) as Record<string, number>[];
  await using postgres = await connectSql(local.backing.databaseUrl);
  await postgres.query(installStatements(local.sqlAddress ?? '', { key: undefined }));
  await postgres.query('CREATE TABLE linked_rows (row jsonb)');
  const values = rows.map((row) => `('${JSON.stringify(row).replaceAll("'", "''")}')`);
  await postgres.query(`INSERT INTO linked_rows VALUES ${values.join(', ')}`);
  const statement = `SELECT count(s) FROM unnest(hotloop.predict('${manifest.name}', (SELECT array_agg(row) FROM linked_rows))) s`;
  const linked = async () => {
    const [answer] = await postgres.query(statement);
    if (answer?.rows[0]?.[0] !== String(LINKED_ROWS)) throw new Error('Postgres did not answer all rows');
  };
  const inputs = rows.map((request) => ({ request }));
  const library = async () => {
    const answers = await client.predictBatch(manifest.name, inputs);
    if (answers.some(({ ok }) => !ok)) throw new Error('the client library did not answer all rows');
  };
  const time = async (work: () => Promise<void>) => {
    const begun = performance.now();
    await work();
    return performance.now() - begun;
  };
  for (let warm = 0; warm < 3; warm++) {
    await linked();
    await library();
  }
  const ratios: number[] = [];
  for (let round = 0; round < Math.max(5, rounds); round++) {
    const [a, b] = [await time(linked), await time(library)];
    ratios.push(a / b);
    say(`${LINKED_ROWS} rows: in Postgres ${a.toFixed(1)} ms, by the client library ${b.toFixed(1)} ms`);
  }
  return ratios;
}
