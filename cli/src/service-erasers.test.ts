import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { eventLine, openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import { openDuckDb } from '@hotloop/platform/duckdb/duckdb.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { createTestRedis } from '@hotloop/platform/testing/test-services.ts';
import { RedisHistory } from '@hotloop/preprocessor/history/redis-history.ts';
import { verifyLedger } from '@hotloop/retrainer/ledger/ledger.ts';
import { makeBackup } from '@hotloop/retrainer/operations/backup.ts';
import { forgetEntity } from '@hotloop/retrainer/operations/forget.ts';
import {
  linearModel,
  logPredictions,
  manifestText,
  openStores,
  push,
  type Stores,
} from '@hotloop/retrainer/testing/fixture.ts';
import { describe, expect, it } from 'vitest';
import { serviceErasers } from './service-erasers.ts';

const SECRET = 'person-4711';
const UPLOAD = '00000000-0000-4000-8000-000000000001';
const RUN = '00000000-0000-4000-8000-000000000002';

/** Rows about the person and about another one, in every table that can hold an id. */
async function fillTables({ pool }: Stores, ids: readonly string[], sink: string): Promise<void> {
  const outcome = `INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, attributes, occurred_at)
    VALUES ($1, 'm', 'test', 'label', $2, $3, '1', $4, now())`;
  await pool.query(outcome, ['a', ids[0], { user: SECRET }, {}]);
  await pool.query(outcome, ['b', ids[1], { user: 'person-2' }, {}]);
  await pool.query(outcome, ['c', ids[1], { user: 'person-2' }, { buyer: SECRET }]);
  await pool.query(
    `INSERT INTO set_aside (consumer, topic, "partition", "offset", value, error) VALUES ('c', 't', 0, 0, $1, 'e')`,
    [Buffer.from(`{"user": "${SECRET}", broken`)],
  );
  await pool.query(
    `INSERT INTO correction_upload (upload_id, model, state, uploaded_by, file_sha256, rows, accepted, refused, problems)
     VALUES ($1, 'm', 'staged', 'me', 'x', 2, 2, 0, $2)`,
    [UPLOAD, JSON.stringify([{ line: 3, problem: `${SECRET} is no item` }])],
  );
  for (const [line, id] of ids.entries())
    await pool.query(
      `INSERT INTO correction (upload_id, line, prediction_id, value, label) VALUES ($1, $2, $3, '1', 1)`,
      [UPLOAD, line, id],
    );
  await pool.query(
    `INSERT INTO reference_table (name, schema, live_version) VALUES ('people', '{}', 1), ('items', '{}', 1)`,
  );
  await pool.query(
    `INSERT INTO reference_version (table_name, version, rows) VALUES ('people', 1, 2), ('items', 1, 1)`,
  );
  await pool.query(
    `INSERT INTO reference_row (table_name, version, key, fields)
     VALUES ('people', 1, $1, '{"age": 40}'), ('people', 1, 'person-2', '{}'), ('items', 1, 'i', $2)`,
    [SECRET, { owner: SECRET }],
  );
  await pool.query(
    `INSERT INTO batch_run (run_id, model, version, key, source, sink, state) VALUES ($1, 'm', 1, 'k', 'in.csv', $2, 'done')`,
    [RUN, sink],
  );
}

describe('an entity that is forgotten', () => {
  it('is erased everywhere, and other entities stay', async () => {
    await using stores = await openStores();
    const place = await mkdtemp(join(tmpdir(), 'hotloop-forget-'));
    await using _removed = { [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }) };
    await using cache = await createTestRedis('cache');
    await push(stores, manifestText('m'), linearModel());
    const ids = await logPredictions(stores.pool, [
      { model: 'm', entities: { user: SECRET }, features: [1, 2] },
      { model: 'm', entities: { user: 'person-2' }, features: [3, 4] },
    ]);
    const sink = join(place, 'out.csv');
    await writeFile(sink, `row,user,score\n0,${SECRET},0.1\n1,person-2,0.2\n`);
    await fillTables(stores, ids, sink);

    await using redis = await openRedis(cache.url, {
      commandTimeoutMs: 5000,
      role: 'cache',
      name: 'test',
      log: silentLog(),
    });
    const nowMs = Date.now();
    const happened = (entity: string, entityId: string, id: string, fields: Record<string, string>) => ({
      ...{ entity, entityId, event: 'buy', id, fields, atMs: nowMs - 1000, arrivalUs: nowMs * 1000 },
    });
    const others = Array.from({ length: 600 }, (_, index) => happened('item', 'i', `${index}`, {}));
    await new RedisHistory(redis).append(
      [
        happened('user', SECRET, 'one', {}),
        happened('user', 'person-2', 'two', {}),
        // So many that the oldest stand in a key of their own.
        { ...happened('item', 'i', 'x', { buyer: SECRET }), atMs: nowMs - 5000 },
        happened('item', 'i', 'y', { buyer: SECRET }),
        ...others,
      ],
      nowMs,
    );
    // Of the form before this one.
    await redis.zadd(`history:{user:${SECRET}}:view`, 1, 'one');
    await redis.set(`reference:people 1 ${SECRET}`, '{}');

    await using archive = await openEventArchive(stores.objects);
    const event = { type: 'view', atMs: 1_700_000_000_000, arrivalUs: 1 };
    const lines = [
      eventLine({ ...event, key: 'a', entities: { user: SECRET }, fields: {} }),
      eventLine({ ...event, key: 'b', entities: { user: 'person-2' }, fields: {} }),
      eventLine({ ...event, key: 'c', entities: { item: 'i' }, fields: { buyer: SECRET } }),
    ];
    await writeFile(join(place, 'events.jsonl'), lines.join(''));
    await archive.addFile(join(place, 'events.jsonl'));
    await using database = await openDuckDb();
    const parquet = async (key: string, select: string) => {
      const path = join(place, `${key.replaceAll('/', '-')}.parquet`);
      await database.writeParquet(select, path);
      await stores.objects.putFile(`${key}.parquet`, path);
    };
    const digest = 'd'.repeat(64);
    await parquet(`datasets/${digest}`, `SELECT '${ids[0]}' AS prediction_id, 1.0 AS x`);
    await stores.pool.query('UPDATE model_version SET dataset_sha256 = $1', [digest]);
    await parquet(
      'log/prediction/2026-01-01',
      `SELECT '{"user":"' || name || '"}' AS entities, 1.0 AS x FROM (VALUES ('${SECRET}'), ('person-2')) AS t (name)`,
    );

    const forget = () =>
      forgetEntity(
        serviceErasers({ pool: stores.pool, store: stores.objects, withCache: (use) => use(redis) }),
        {
          entity: 'user',
          id: SECRET,
          actor: 'test',
          now: 1_700_000_000_000,
        },
      );
    expect(await forget()).toEqual({
      erased: {
        batchRows: 1,
        corrections: 1,
        outcomes: 2,
        deadLetters: 1,
        archivedRows: 1,
        history: 5,
        tableRows: 2,
        decisions: 0,
        predictions: 1,
        archivedEvents: 2,
      },
      datasets: [digest],
      versions: [{ model: 'm', version: 1 }],
      unreachable: [],
      topics: [],
    });

    const backup = join(place, 'after');
    await makeBackup({ pool: stores.pool, store: stores.objects }, backup);
    expect(await placesOf(SECRET, backup)).toEqual([]);
    expect(await readFile(sink, 'utf8')).toBe('row,user,score\n1,person-2,0.2\n');
    expect((await redis.keys('*')).sort()).toEqual([
      'entity:{item:i}',
      'entity:{item:i}:older',
      'entity:{user:person-2}',
    ]);
    const read = { entity: 'item', entityId: 'i', event: 'buy', sinceMs: 0, limit: 1000, fields: true };
    expect(await new RedisHistory(redis).read([read])).toMatchObject([{ length: 600 }]);
    for (const [table, rows] of Object.entries({
      prediction: 1,
      outcome: 1,
      correction: 1,
      reference_row: 1,
    }))
      expect((await stores.pool.query(`SELECT FROM ${table}`)).rowCount, table).toBe(rows);
    expect(await verifyLedger(stores.pool)).toMatchObject({ broken: null });
    const again = await forget();
    expect(Object.values(again.erased).every((count) => count === 0)).toBe(true);
    expect(again.datasets).toEqual([]);
  });
});

describe('an entity with a short id', () => {
  it('keeps the rows of others that merely contain the same text', async () => {
    await using stores = await openStores();
    const place = await mkdtemp(join(tmpdir(), 'hotloop-forget-'));
    await using _removed = { [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }) };
    await using cache = await createTestRedis('cache');
    await using redis = await openRedis(cache.url, {
      ...{ commandTimeoutMs: 5000, role: 'cache', name: 'test', log: silentLog() },
    });
    const { pool } = stores;
    await push(stores, manifestText('m'), linearModel());
    const ids = await logPredictions(pool, [
      { model: 'm', entities: { user: '7' }, features: [1, 2] },
      { model: 'm', entities: { user: '17' }, features: [3, 4] },
      { model: 'm', entities: { user: '70' }, features: [5, 6] },
      { model: 'm', entities: { user: '8' }, features: [7, 8] },
    ]);
    // Inputs of text and of numbers, end to end: the fourth's text is the id, those of the others hold it or are a number like it.
    const texts = ['is 7', 'room 17', '77', '7'].map((text) => {
      const bytes = Buffer.alloc(8 + 4 + text.length);
      bytes.writeBigInt64LE(55n);
      bytes.writeUInt32LE(text.length, 8);
      bytes.write(text, 12);
      return bytes;
    });
    const spec = [
      { name: 'n', datatype: 'INT64', shape: [1] },
      { name: 't', datatype: 'BYTES', shape: [1] },
    ];
    for (const [at, id] of ids.entries())
      await pool.query('UPDATE prediction SET features = $2, input_spec = $3 WHERE prediction_id = $1', [
        ...[id, texts[at], JSON.stringify(spec)],
      ]);
    const outcome = `INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, attributes, occurred_at)
      VALUES ($1, 'm', 'test', 'label', $2, $3, $4, $5, now())`;
    await pool.query(outcome, ['theirs', ids[0], { user: '7' }, '1', {}]);
    await pool.query(outcome, ['named', ids[1], {}, '1', { user_id: 7 }]);
    await pool.query(outcome, ['class', ids[1], { user: '17' }, '"7"', {}]);
    await pool.query(outcome, ['size', ids[2], { user: '70' }, '1', { size: '7', user_id: 70 }]);
    await pool.query(
      `INSERT INTO set_aside (consumer, topic, "partition", "offset", value, error)
       VALUES ('c', 't', 0, 0, $1, 'e'), ('c', 't', 0, 1, $2, 'e')`,
      [Buffer.from('{"user": "7", broken'), Buffer.from('{"user": "17", "size": "7", broken')],
    );
    await pool.query(
      `INSERT INTO correction_upload (upload_id, model, state, uploaded_by, file_sha256, rows, accepted, refused, problems)
       VALUES ($1, 'm', 'staged', 'me', 'x', 2, 2, 0, $2)`,
      [UPLOAD, JSON.stringify([{ line: 7, problem: 'item "17" is not among its 7 candidates' }])],
    );
    await pool.query(`INSERT INTO reference_table (name, schema, live_version) VALUES ('items', '{}', 1)`);
    await pool.query(`INSERT INTO reference_version (table_name, version, rows) VALUES ('items', 1, 3)`);
    await pool.query(
      `INSERT INTO reference_row (table_name, version, key, fields)
       VALUES ('items', 1, 'a', '{"stars": 7}'), ('items', 1, 'b', '{"size": "7"}'), ('items', 1, 'c', '{"user": "7"}')`,
    );
    const sink = join(place, 'out.csv');
    await writeFile(sink, 'row,user,size\n0,7,1\n1,17,7\n');
    await pool.query(
      `INSERT INTO batch_run (run_id, model, version, key, source, sink, state) VALUES ($1, 'm', 1, 'k', 'in.csv', $2, 'done')`,
      [RUN, sink],
    );
    await redis.zadd('history:{user:7}:view', 1, 'one');
    await redis.zadd('history:{user:17}:view', 1, 'two');
    await using archive = await openEventArchive(stores.objects);
    const event = { type: 'view', atMs: 1_700_000_000_000, arrivalUs: 1 };
    await writeFile(
      join(place, 'events.jsonl'),
      [
        eventLine({ ...event, key: 'a', entities: { user: '7' }, fields: {} }),
        eventLine({ ...event, key: 'b', entities: { user: '17' }, fields: { size: '7', room: '17' } }),
        eventLine({ ...event, key: 'c', entities: { item: 'i' }, fields: { user: '7' } }),
      ].join(''),
    );
    await archive.addFile(join(place, 'events.jsonl'));
    const { erased } = await forgetEntity(
      serviceErasers({ pool, store: stores.objects, withCache: (use) => use(redis) }),
      { entity: 'user', id: '7', actor: 'test', now: 1_700_000_000_000 },
    );
    expect(erased).toEqual({
      ...{ batchRows: 1, corrections: 0, outcomes: 2, deadLetters: 1, archivedRows: 0, history: 1 },
      ...{ tableRows: 1, decisions: 0, predictions: 2, archivedEvents: 2 },
    });
    expect(await readFile(sink, 'utf8')).toBe('row,user,size\n1,17,7\n');
    expect(await redis.keys('history:*')).toEqual(['history:{user:17}:view']);
    const left = await pool.query('SELECT id FROM outcome ORDER BY id');
    expect(left.rows.map(({ id }) => id)).toEqual(['class', 'size']);
    expect((await pool.query('SELECT problems FROM correction_upload')).rows[0].problems).toHaveLength(1);
  });
});

/** Files of a backup that hold the text, decompressed where they are compressed. */
async function placesOf(text: string, path: string): Promise<string[]> {
  const found: string[] = [];
  await using database = await openDuckDb();
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const bytes = await readFile(file);
    const plain = file.endsWith('.gz')
      ? gunzipSync(bytes)
      : file.endsWith('.parquet')
        ? Buffer.from(
            JSON.stringify(await database.query(`SELECT * FROM read_parquet('${file}')`), (_, value) =>
              typeof value === 'bigint' ? String(value) : value,
            ),
          )
        : bytes;
    if (plain.includes(text)) found.push(file);
  }
  return found;
}
