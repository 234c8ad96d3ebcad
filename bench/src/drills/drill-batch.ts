import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@hotloop/client';
import { freePort } from '@hotloop/deploy/backing/free-port.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { openSqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import { startBenchLocal } from '../stand/bench-local.ts';
import type { Drill } from './drill.ts';

const LEAST_PART_ROWS = 20_000;
const PARTS = 200;
const LONGEST_MS = 15 * 60_000;
const BETWEEN_KILLS_MS = 1_500;
const MANIFEST = `name: drill
task: binary
features:
  - {name: visits, from: request.visits, transform: [log1p]}
  - {name: age, from: request.age, missing: 30, range: [0, 120]}
  - {name: plan, from: request.plan, transform: [{one_hot: [free, pro]}]}
training: {network: {hidden: [64, 32]}}
`;

interface RunReport {
  readonly run_id: string;
  readonly state: string;
  readonly message: string;
  readonly parts: number;
  readonly parts_done: number;
}

/**
 * Scores the same rows twice: once undisturbed, once while the worker and the control service are killed repeatedly
 * (`--kills`). Then both results are compared, row by row and byte by byte. `--rows` is the number of rows.
 */
export const drillBatch: Drill = async ({ kills, rows, say }): Promise<Figure[]> => {
  const partRows = Math.max(LEAST_PART_ROWS, Math.ceil(rows / PARTS));
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await benchFolder());
  const local = stack.use(
    await startBenchLocal(folder.path, {
      environment: { HOTLOOP_BATCH_LEASE_MS: '3000' },
      sqlListen: `127.0.0.1:${await freePort()}`,
    }),
  );
  const database = stack.use(await openSqlDatabase({ memoryMb: 512, threads: 1, files: true }));
  const connection = stack.use(await database.connect());
  const source = join(folder.path, 'rows.parquet');
  await connection.run(
    `COPY (SELECT n AS id, (hash(n) % 50)::DOUBLE AS visits, CASE WHEN n % 97 = 0 THEN 300 ELSE hash(n + 1) % 90 END::DOUBLE AS age,
       CASE WHEN n % 2 = 0 THEN 'free' ELSE 'pro' END AS plan FROM range(${rows}) t(n)) TO '${source}' (FORMAT parquet, ROW_GROUP_SIZE ${partRows})`,
  );
  {
    const { preprocessor, retrainer } = local.addresses;
    await using client = await connect({ address: preprocessor, retrainerAddress: retrainer });
    const { version } = await client.models.push({ manifestYaml: MANIFEST, untrained: true }).finished();
    await client.models.promote(version.model, version.version).finished();
  }
  const control = `http://${local.httpAddresses.retrainer}/v1/batch/runs`;
  const ask = async (path: string, body?: object): Promise<RunReport | undefined> => {
    const post = {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    };
    // Retry while the control service is down or starting.
    const answer = await fetch(`${control}${path}`, body === undefined ? {} : post).catch(() => undefined);
    return answer?.ok ? ((await answer.json()) as RunReport) : undefined;
  };
  const random = new SeededRandom(1);
  let killed = 0;
  const run = async (name: string, mayKill: boolean): Promise<string> => {
    const sink = join(folder.path, name);
    const options = { part_rows: partRows, keep: ['id'] };
    const body = { model: 'drill', source, sink, options, key: name };
    const started = await ask('', body);
    if (started === undefined) throw new Error('the batch could not be started');
    const until = performance.now() + LONGEST_MS;
    let nextKill = performance.now() + BETWEEN_KILLS_MS;
    for (;;) {
      await delay(100);
      if (performance.now() > until) throw new Error('the batch did not end in time');
      const report = await ask(`/${started.run_id}`);
      if (report?.state === 'done') return sink;
      if (report?.state === 'failed') throw new Error(`the batch failed: ${report.message}`);
      if (!mayKill || killed >= kills || performance.now() < nextKill) continue;
      const victim = random.uniform() < 0.7 ? 'batch-worker' : 'retrainer';
      const pid = local.pidOf(victim);
      if (pid === undefined) continue;
      process.kill(pid, 'SIGKILL');
      killed++;
      nextKill = performance.now() + BETWEEN_KILLS_MS * (0.5 + random.uniform());
    }
  };
  const begun = performance.now();
  const calm = await run('calm', false);
  const calmMs = performance.now() - begun;
  const stormy = await run('stormy', true);
  say(`${rows} rows, ${killed} kills; without kills ${Math.round(calmMs / 1000)} s`);
  const [compared] = await connection.rows(
    `SELECT count(*) FILTER (a.id IS NULL OR b.id IS NULL OR a.id <> b.id OR a.score <> b.score OR a.label <> b.label) AS wrong
     FROM '${calm}/*.parquet' a FULL JOIN '${stormy}/*.parquet' b USING ("row")`,
  );
  const [counted] = await connection.rows(
    `SELECT count(*) - count(DISTINCT "row") AS doubled, ${rows} - count(*) - ${Math.ceil(rows / 97)} AS missing FROM '${stormy}/*.parquet'`,
  );
  const wrong =
    Number(compared?.wrong) + Math.abs(Number(counted?.doubled)) + Math.abs(Number(counted?.missing));
  const parts = Array.from(
    { length: Math.ceil(rows / partRows) },
    (_, at) => `part-${String(at).padStart(5, '0')}.parquet`,
  );
  let otherBytes = 0;
  for (const part of parts)
    if ((await digestOf(join(calm, part))) !== (await digestOf(join(stormy, part)))) otherBytes++;
  return [
    figure('batch_wrong', [wrong + otherBytes], { atMost: 0 }),
    figure('batch_kills', [killed]),
    figure('batch_drill_rows', [rows]),
  ];
};

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path)) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
