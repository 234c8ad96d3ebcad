import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { openSqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { RawMessage } from '@hotloop/platform/kafka/message.ts';
import { openProducer } from '@hotloop/platform/kafka/producer.ts';
import { readTopicRange } from '@hotloop/platform/kafka/read-range.ts';
import { openTransactionalProducer } from '@hotloop/platform/kafka/transactional-producer.ts';
import { uniqueName } from '@hotloop/platform/testing/test-services.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, makeLive, push } from '../testing/fixture.ts';
import { batchProgress, claimPart, readBatchRun } from './batch-store.ts';
import { sendRows } from './kafka-rows.ts';
import { requestBatch } from './request-batch.ts';
import { runScheduleNow, startDueBatches, stepOf } from './run-schedules.ts';
import { putSchedule, scheduleSchema } from './schedule-store.ts';
import { asked, csv, ended, openStand } from './testing/batch-stand.ts';

let stand: Awaited<ReturnType<typeof openStand>>;
beforeAll(async () => {
  stand = await openStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('a batch', () => {
  it('reads CSV, writes parts and one file, reports refused rows, and gives the same bytes again', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const source = join(folder, 'in.csv');
    await writeFile(source, csv());
    await using _worker = await stand.startWorker();
    const options = { part_rows: 1000 };
    const digests: string[] = [];
    for (const name of ['a.jsonl', 'b.jsonl']) {
      const request = { ...asked, source, sink: join(folder, name), options };
      const { run } = await requestBatch(dependencies, request, Date.now());
      const done = await ended(stores, run.runId);
      expect(done).toMatchObject({ state: 'done', rows: 5000, version: 1, message: '4950 rows, 50 refused' });
      expect(await batchProgress(stores.pool, run.runId)).toMatchObject({
        parts: 5,
        partsDone: 5,
        refused: 50,
      });
      digests.push(await readFile(join(folder, name), 'utf8'));
    }
    expect(digests[0]).toBe(digests[1]);
    const rows = digests[0]!
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(rows[0]).toMatchObject({ row: 0, id: 'u0', model: 'churn', version: 1 });
    expect(rows.map(({ row }) => row)).not.toContain(99);
    const report = JSON.parse(await readFile(join(folder, 'a.jsonl.result.json'), 'utf8')) as object;
    expect(report).toMatchObject({
      accepted: 4950,
      refused: 50,
      dataset_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const refused = (await readFile(join(folder, 'a.jsonl.refused.jsonl'), 'utf8')).trim().split('\n');
    expect(refused).toHaveLength(50);
    expect(JSON.parse(refused[1] ?? '')).toEqual({
      row: 199,
      reason: expect.stringMatching(/age.*\[0, 120\]/),
    });
    expect((await readdir(folder)).sort()).toEqual([
      'a.jsonl',
      'a.jsonl.refused.jsonl',
      'a.jsonl.result.json',
      'b.jsonl',
      'b.jsonl.refused.jsonl',
      'b.jsonl.result.json',
      'in.csv',
    ]);
  });

  it('answers columns of texts and times, and a column of timestamps as its texts', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const manifest = `name: letters
task: binary
features:
  - {name: words, from: request.words, transform: [{text: {buckets: 32}}]}
  - {name: hour, from: request.at, transform: [{time: {part: hour}}]}
`;
    const network = {
      inputs: 33,
      hidden: [4],
      outputs: 1,
      activation: 'tanh',
      head: 'sigmoid',
      seed: 3,
    } as const;
    await makeLive(stores, 'letters', await push(stores, manifest, perceptron(network)));
    await using database = await openSqlDatabase({ memoryMb: 64, threads: 1, files: true });
    using connection = await database.connect();
    const rows = `SELECT n AS id, 'My card, letter ' || n AS words, TIMESTAMP '2026-01-15 00:30:00' + n * INTERVAL 1 HOUR AS "at" FROM range(40) t(n)`;
    await connection.run(`COPY (${rows}) TO '${join(folder, 'typed.parquet')}' (FORMAT parquet)`);
    await connection.run(
      `COPY (SELECT id, words, strftime("at", '%Y-%m-%dT%H:%M:%SZ') AS "at" FROM (${rows})) TO '${join(folder, 'texts.parquet')}' (FORMAT parquet)`,
    );
    // There is no front door here, so only columns can answer.
    await using _worker = await stand.startWorker();
    const answers: string[] = [];
    for (const name of ['typed', 'texts']) {
      const sink = join(folder, `${name}.jsonl`);
      const source = join(folder, `${name}.parquet`);
      const request = { ...asked, model: 'letters', source, sink, options: {} };
      const { run } = await requestBatch(dependencies, request, Date.now());
      expect(await ended(stores, run.runId)).toMatchObject({ state: 'done', message: '40 rows' });
      answers.push(await readFile(sink, 'utf8'));
    }
    expect(answers[0]).toBe(answers[1]);
    expect(new Set(answers[0]?.match(/"score":[^,]*/g)).size).toBe(40);
  });

  it('replays the requests of a topic into another, in order for each key, and never twice into the same', async () => {
    const { stores, dependencies, kafka } = stand;
    const name = uniqueName('replay');
    await using producer = await openProducer(kafka);
    const sent = Array.from({ length: 12 }, (_, at) => ({
      key: `k${at % 3}`,
      value: JSON.stringify({
        request: { visits: at, plan: 'pro', shown: '2026-01-02' },
        entities: { user: `u${at}` },
      }),
    }));
    await producer.send(`${name}.in`, [...sent, { key: 'k0', value: 'no JSON' }]);
    await using _worker = await stand.startWorker();
    const from = new Date(Date.now() - 3_600_000).toISOString();
    const request = {
      ...asked,
      source: `kafka:${name}.in?from=${from}`,
      sink: `kafka:${name}.out`,
      options: {},
    };
    const { run } = await requestBatch(dependencies, request, Date.now());
    expect(await ended(stores, run.runId)).toMatchObject({ state: 'done', message: '12 rows, 1 refused' });
    const answers: { key: string; value: Record<string, unknown>; row: string | undefined }[] = [];
    const range = { topic: `${name}.out`, fromMs: undefined, toMs: undefined };
    const take = async (messages: readonly RawMessage[]) => {
      for (const { key, value, headers } of messages)
        answers.push({
          key: String(Buffer.from(key!)),
          value: JSON.parse(String(Buffer.from(value!))),
          row: headers['hotloop-row'],
        });
    };
    await readTopicRange(kafka, range, take, AbortSignal.timeout(60_000));
    expect(answers).toHaveLength(12);
    for (const key of ['k0', 'k1', 'k2']) {
      const users = answers.filter((answer) => answer.key === key).map(({ value }) => value.user);
      expect(users).toEqual(
        sent.filter((each) => each.key === key).map(({ value }) => JSON.parse(value).entities.user),
      );
    }
    expect(answers[0]?.value).toMatchObject({
      model: 'churn',
      version: 1,
      shown: '2026-01-02',
      score: expect.any(Number),
    });
    expect(new Set(answers.map(({ row }) => row)).size).toBe(12);
    for (const [source, problem] of [
      [`kafka:${name}.in`, 'say --append to add'],
      [`kafka:${name}.none`, 'there is no topic'],
    ] as const) {
      const sink = problem.startsWith('say') ? `kafka:${name}.out` : `kafka:${name}.other`;
      const again = await requestBatch(dependencies, { ...request, source, sink }, Date.now());
      const failed = await ended(stores, again.run.runId);
      expect({ state: failed.state, message: failed.message }).toEqual({
        state: 'failed',
        message: expect.stringContaining(problem),
      });
    }
    const wrong = requestBatch(dependencies, { ...request, source: `kafka:${name}.in?since=1` }, Date.now());
    await expect(wrong).rejects.toThrow(/from=TIME/);
  });

  it('sends to a topic only the rows that an earlier worker did not send', async () => {
    const { kafka } = stand;
    const topic = uniqueName('resumed');
    const runId = randomUUID();
    await using database = await openSqlDatabase({ memoryMb: 64, threads: 1, files: true });
    using connection = await database.connect();
    const file = join(await stand.newFolder(), 'part.parquet');
    await connection.run(
      `COPY (SELECT n AS "row", 'k' || n % 2 AS message_key, n / 2 AS score FROM range(2500) t(n)) TO '${file}' (FORMAT parquet)`,
    );
    const location = { kind: 'kafka', topic, fromMs: undefined, toMs: undefined } as const;
    await using before = await openTransactionalProducer(kafka, `hotloop-batch-${runId}`);
    const headers = { 'hotloop-run': runId };
    const first = Array.from({ length: 700 }, (_, row) => ({
      value: '{}',
      headers: { ...headers, 'hotloop-row': String(row) },
    }));
    await before.send(topic, first);
    const rows = { runId, files: [file], connection, isRepeated: true };
    await sendRows(kafka, location, rows, AbortSignal.timeout(60_000));
    const places: string[] = [];
    const take = async (messages: readonly RawMessage[]) => {
      for (const message of messages) places.push(message.headers['hotloop-row'] ?? '');
    };
    await readTopicRange(kafka, location, take, AbortSignal.timeout(60_000));
    expect(places.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 2500 }, (_, row) => row));
  });

  it('reports what does not fit before the first row, and overwrites only if asked', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    await using _worker = await stand.startWorker();
    const source = join(folder, 'in.jsonl');
    await writeFile(source, '{"visits": "many", "age": 3}\n');
    const wrong = await requestBatch(
      dependencies,
      { ...asked, source, sink: join(folder, 'out'), options: {} },
      Date.now(),
    );
    const { message } = await ended(stores, wrong.run.runId);
    expect(message).toContain('visits is VARCHAR where the model takes a number');
    expect(message).toContain('plan is missing');
    await writeFile(source, '{"visits": 2, "age": 3, "plan": "pro"}\n');
    await mkdir(join(folder, 'out'), { recursive: true });
    await writeFile(join(folder, 'out', 'precious.parquet'), 'x');
    const request = { ...asked, source, sink: join(folder, 'out'), options: {} };
    const refused = await requestBatch(dependencies, request, Date.now());
    expect(await ended(stores, refused.run.runId)).toMatchObject({
      state: 'failed',
      message: expect.stringContaining('--overwrite'),
    });
    const again = await requestBatch(dependencies, { ...request, options: { overwrite: true } }, Date.now());
    expect((await ended(stores, again.run.runId)).state).toBe('done');
    expect((await readdir(join(folder, 'out'))).sort()).toEqual([
      '_result.json',
      'part-00000.parquet',
      'precious.parquet',
    ]);
  });

  it("uses no file outside the machine's folder, not even through a link", async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const inside = join(folder, 'inside');
    await mkdir(inside);
    await writeFile(join(folder, 'secret.csv'), csv(10));
    await symlink(join(folder, 'secret.csv'), join(inside, 'link.csv'));
    await writeFile(join(inside, 'in.csv'), csv(10));
    await using _worker = await stand.startWorker({}, { below: inside });
    const run = async (source: string, sink: string) => {
      const request = { ...asked, source, sink, options: {} };
      return ended(stores, (await requestBatch(dependencies, request, Date.now())).run.runId);
    };
    const refusal = { state: 'failed', message: expect.stringContaining('outside the folder') };
    expect(await run(join(folder, 'secret.csv'), join(inside, 'out.csv'))).toMatchObject(refusal);
    expect(await run(join(inside, 'link.csv'), join(inside, 'out.csv'))).toMatchObject(refusal);
    expect(await run(join(inside, 'in.csv'), join(inside, '..', 'out.csv'))).toMatchObject(refusal);
    expect(await run(join(inside, 'in.csv'), join(inside, 'new', 'out'))).toMatchObject({ state: 'done' });
  });

  it('reads a query of Postgres by the name of a variable; an address with a password is refused and not repeated', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    await stores.pool.query(
      `CREATE TABLE people AS SELECT n AS id, n AS visits, NULL::integer AS age, 'pro' AS plan FROM generate_series(1, 50) n`,
    );
    await using _worker = await stand.startWorker({ SHOP_URL: stores.databaseUrl });
    const request = {
      ...asked,
      source: 'postgres:SHOP_URL?SELECT * FROM people ORDER BY id',
      sink: join(folder, 'out.csv'),
      options: {},
    };
    const { run } = await requestBatch(dependencies, request, Date.now());
    expect(await ended(stores, run.runId)).toMatchObject({ state: 'done', message: '50 rows' });
    expect((await readFile(join(folder, 'out.csv'), 'utf8')).split('\n')[0]).toBe(
      'row,id,label,score,model,version',
    );
    const secret = { ...request, source: 'postgres://ada:hunter2@db/shop' };
    const refusal: unknown = await requestBatch(dependencies, secret, Date.now()).catch(
      (error: unknown) => error,
    );
    expect(String(refusal)).toContain('postgres:SHOP_URL');
    expect(String(refusal)).not.toContain('hunter2');
  });

  it('writes a table of Postgres once, adds to it or replaces it only when asked', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const source = join(folder, 'in.csv');
    await writeFile(source, csv(300));
    await using _worker = await stand.startWorker({ SHOP_URL: stores.databaseUrl });
    const run = async (options: object) => {
      const request = { ...asked, source, sink: 'postgres:SHOP_URL/public.scores', options };
      return ended(stores, (await requestBatch(dependencies, request, Date.now())).run.runId);
    };
    const rows = async () =>
      Number((await stores.pool.query('SELECT count(*) AS n FROM scores')).rows[0]?.n ?? 0);
    expect(await run({})).toMatchObject({ state: 'done', message: '297 rows, 3 refused' });
    const { rows: first } = await stores.pool.query('SELECT * FROM scores ORDER BY "row" LIMIT 1');
    expect(first).toMatchObject([
      { row: '0', id: 'u0', score: expect.any(Number), version: 1, run_id: expect.any(String) },
    ]);
    expect(await run({})).toMatchObject({ state: 'failed', message: expect.stringContaining('--append') });
    expect((await run({ append: true })).state).toBe('done');
    expect(await rows()).toBe(594);
    expect((await run({ overwrite: true })).state).toBe('done');
    expect(await rows()).toBe(297);
  });

  it('fails when its source changes, and gives a part of a lost worker to another', async () => {
    const { stores, dependencies } = stand;
    const folder = await stand.newFolder();
    const first = join(folder, 'first.csv');
    const source = join(folder, 'in.parquet');
    await writeFile(first, csv(3000));
    const make = { ...asked, source: first, sink: source, options: { keep: ['visits', 'age', 'plan'] } };
    const options = { part_rows: 1000 };
    let runId: string;
    {
      await using _worker = await stand.startWorker();
      const made = await requestBatch(dependencies, make, Date.now());
      expect((await ended(stores, made.run.runId)).state).toBe('done');
    }
    const { run } = await requestBatch(
      dependencies,
      { ...asked, source, sink: join(folder, 'out'), options },
      Date.now(),
    );
    // A worker that claims the planning and is never heard of again.
    expect(await claimPart(stores.pool, 1, run.runId)).toMatchObject({ part: -1, token: 1 });
    runId = run.runId;
    {
      await using _worker = await stand.startWorker();
      expect((await ended(stores, runId)).state).toBe('done');
    }
    const changed = await requestBatch(
      dependencies,
      { ...asked, source, sink: join(folder, 'out2'), options },
      Date.now(),
    );
    runId = changed.run.runId;
    {
      await using _worker = await stand.startWorker();
      await eventually(async () => (await readBatchRun(stores.pool, runId))?.state !== 'planning');
      await writeFile(source, 'no longer');
      const end = await ended(stores, runId);
      if (end.state === 'failed') {
        expect(end.message).toContain('changed while it was being read');
        const left = async () => await readdir(join(folder, 'out2')).catch(() => []);
        await eventually(async () => (await left()).length === 0);
      }
    }
    await expect(stat(join(folder, 'out', 'part-00002.parquet'))).resolves.toBeDefined();
  });
});

describe('a schedule', () => {
  const spec = scheduleSchema.parse({ model: 'churn', source: 'in.csv', sink: 'out/{date}', every: '1h' });

  it('runs once for all missed times, once for each, or not at all, depending on the policy', () => {
    const hour = 3_600_000;
    const step = (catch_up: 'skip' | 'one' | 'all') =>
      stepOf({ spec: { ...spec, catch_up } }, hour, 5.5 * hour);
    expect(step('one')).toEqual({ due: 5 * hour, next: 6 * hour });
    expect(step('all')).toEqual({ due: hour, next: 2 * hour });
    expect(step('skip')).toEqual({ due: null, next: 6 * hour });
    expect(stepOf({ spec }, hour, 1.5 * hour)).toEqual({ due: hour, next: 2 * hour });
  });

  it('starts once at each time, into a dated partition, and never while the previous run is active', async () => {
    await using stand = await openStand();
    const { dependencies, stores } = stand;
    const now = Date.UTC(2026, 4, 1, 10);
    await putSchedule(stores.pool, 'hourly', spec, now - 3_600_000);
    const started = await Promise.all([
      startDueBatches(dependencies, now, stores.log),
      startDueBatches(dependencies, now, stores.log),
    ]);
    expect(Math.max(...started)).toBe(1);
    const { rows } = await stores.pool.query('SELECT sink, key FROM batch_run');
    expect(rows).toEqual([{ sink: 'out/2026-05-01', key: 'hourly@2026-05-01T10:00:00.000Z' }]);
    expect(await startDueBatches(dependencies, now + 3_600_000, stores.log)).toBe(0);
    // Asked for by a person, it does not overlap either; once that run is over it starts, also while the schedule is paused.
    const again = () => runScheduleNow(dependencies, 'hourly', 'ada', now + 60_000);
    await expect(again()).rejects.toMatchObject({ reason: 'schedule_running' });
    await expect(runScheduleNow(dependencies, 'hourli', 'ada', now)).rejects.toThrow(/hourly/);
    await stores.pool.query("UPDATE batch_run SET state = 'done', ended_at = now()");
    await putSchedule(stores.pool, 'hourly', { ...spec, enabled: false }, now);
    const both = await Promise.allSettled([again(), again()]);
    const lost = both.filter((each) => each.status === 'rejected');
    expect(both.find((each) => each.status === 'fulfilled')).toMatchObject({
      value: { schedule: 'hourly', state: 'planning' },
    });
    expect(lost).toMatchObject([{ reason: { code: 'FAILED_PRECONDITION', reason: 'schedule_running' } }]);
  });
});
