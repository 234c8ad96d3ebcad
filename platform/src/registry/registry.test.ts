import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Manifest, manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../log.ts';
import { openPool, type Pool, type Queryable, transaction } from '../postgres/pool.ts';
import { createMigratedDatabase } from '../testing/test-services.ts';
import { memoryRegistry } from './memory-registry.ts';
import { openRegistry } from './postgres-registry.ts';
import type { ModelRecord, RegistryReader } from './snapshot.ts';
import { snapshotFile } from './snapshot-file.ts';

const log = silentLog();

function manifestNamed(name: string): Manifest {
  return manifestSchema.parse({ name, features: [{ name: 'x', from: 'request.x' }] });
}

function model(name: string, versions: readonly number[], live: number | null): ModelRecord {
  const records = versions.map((version) => ({
    model: name,
    version,
    bundleSha256: `bundle-${name}-${version}`,
    onnxSha256: `onnx-${name}-${version}`,
    manifest: manifestNamed(name),
    parentVersion: version > 1 ? version - 1 : null,
  }));
  return {
    name,
    liveVersion: live,
    previousVersion: null,
    targetVersion: null,
    generation: live ?? 0,
    versions: new Map(records.map((record) => [record.version, record])),
  };
}

/** A reader, and functions to change what it reads. */
interface Subject extends AsyncDisposable {
  readonly reader: RegistryReader;
  store(record: ModelRecord): Promise<void>;
}

/** In one transaction, so that no reader sees a partial change. */
function storeInPostgres(pool: Pool, record: ModelRecord): Promise<void> {
  return transaction(pool, (client) => insertModel(client, record));
}

async function insertModel(client: Queryable, record: ModelRecord): Promise<void> {
  await client.query(
    `INSERT INTO model (name, live_version, generation) VALUES ($1, $2, $3)
     ON CONFLICT (name) DO UPDATE SET live_version = $2, generation = $3`,
    [record.name, record.liveVersion, record.generation],
  );
  for (const version of record.versions.values())
    await client.query(
      `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest, parent_version)
       VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
      [
        record.name,
        version.version,
        version.bundleSha256,
        version.onnxSha256,
        version.manifest,
        version.parentVersion,
      ],
    );
}

async function postgresDatabase() {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await createMigratedDatabase());
  const pool = stack.use(
    openPool(database.url, { max: 3, queryTimeoutMs: 5000, application: 'registry-test', log }),
  );
  return { url: database.url, pool, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function postgresSubject(): Promise<Subject> {
  const stack = new AsyncDisposableStack();
  const { url, pool } = stack.use(await postgresDatabase());
  const reader = stack.use(await openRegistry(pool, url, log));
  return {
    reader,
    store: (record) => storeInPostgres(pool, record),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function memorySubject(): Promise<Subject> {
  const reader = memoryRegistry();
  return {
    reader,
    store: async (record) => reader.set(record),
    [Symbol.asyncDispose]: async () => {},
  };
}

describe.each([
  ['Postgres', postgresSubject],
  ['memory', memorySubject],
])('a registry in %s', (_, open) => {
  it('starts empty and shows stored models after a refresh', async () => {
    await using subject = await open();
    expect(subject.reader.current().models.size).toBe(0);
    await subject.store(model('shoes', [1, 2], 2));
    await subject.reader.refresh();
    const stored = subject.reader.current().models.get('shoes');
    expect(stored).toEqual(model('shoes', [1, 2], 2));
  });

  it('keeps the identity of a snapshot that did not change', async () => {
    await using subject = await open();
    await subject.store(model('shoes', [1], 1));
    await subject.reader.refresh();
    const before = subject.reader.current();
    await subject.reader.refresh();
    expect(subject.reader.current()).toBe(before);
  });

  it('keeps the identity of models that did not change when another did', async () => {
    await using subject = await open();
    await subject.store(model('shoes', [1], 1));
    const hats = model('hats', [1], null);
    await subject.store(hats);
    await subject.reader.refresh();
    const before = subject.reader.current().models.get('shoes');
    await subject.store({ ...hats, liveVersion: 1, generation: 1 });
    await subject.reader.refresh();
    expect(subject.reader.current().models.get('shoes')).toBe(before);
    expect(subject.reader.current().models.get('hats')?.liveVersion).toBe(1);
  });

  it('notifies listeners after the change, in order, until they are removed', async () => {
    await using subject = await open();
    const seen: string[] = [];
    const listen = (name: string) =>
      subject.reader.onChange((snapshot) => {
        expect(subject.reader.current()).toBe(snapshot);
        seen.push(`${name}${snapshot.models.size}`);
      });
    const leave = listen('a');
    listen('b');
    await subject.store(model('shoes', [1], 1));
    await subject.reader.refresh();
    leave();
    await subject.store(model('hats', [1], 1));
    await subject.reader.refresh();
    expect(seen).toEqual(['a1', 'b1', 'b2']);
  });

  it('updates the time of confirmation at a refresh that changes nothing', async () => {
    await using subject = await open();
    const before = subject.reader.confirmedAt();
    await expect.poll(() => Date.now()).toBeGreaterThan(before);
    await subject.reader.refresh();
    expect(subject.reader.confirmedAt()).toBeGreaterThan(before);
  });
});

describe('a registry in Postgres without explicit refreshes', () => {
  it('shows a change soon after it is committed', async () => {
    await using database = await postgresDatabase();
    await using reader = await openRegistry(database.pool, database.url, log, { pollMs: 3_600_000 });
    await expect
      .poll(async () => {
        const { rows } = await database.pool.query(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'hotloop-listen' AND datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'",
        );
        return rows[0].n;
      })
      .toBe(1);
    await storeInPostgres(database.pool, model('shoes', [1], 1));
    await expect.poll(() => reader.current().models.get('shoes')?.liveVersion).toBe(1);
    await expect.poll(() => reader.current().models.get('shoes')?.versions.size).toBe(1);
  });

  it('finds a change by polling when there is no listening connection', async () => {
    await using database = await postgresDatabase();
    await using reader = await openRegistry(database.pool, 'postgres://u@127.0.0.1:1/x', log, { pollMs: 50 });
    await storeInPostgres(database.pool, model('shoes', [1], 1));
    await expect.poll(() => reader.current().models.get('shoes')?.liveVersion).toBe(1);
  });

  it('listens again after its connection was lost', async () => {
    await using database = await postgresDatabase();
    await using reader = await openRegistry(database.pool, database.url, log, { pollMs: 3_600_000 });
    const listening = async () => {
      const { rows } = await database.pool.query<{ pid: number }>(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'hotloop-listen' AND datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'",
      );
      return rows[0]?.pid ?? 0;
    };
    await expect.poll(listening).toBeGreaterThan(0);
    const first = await listening();
    await database.pool.query('SELECT pg_terminate_backend($1)', [first]);
    await expect.poll(listening).not.toBe(first);
    await expect.poll(listening).toBeGreaterThan(0);
    await storeInPostgres(database.pool, model('shoes', [1], 1));
    await expect.poll(() => reader.current().models.size).toBe(1);
  });

  it('skips a version whose manifest it cannot read, and shows the others', async () => {
    await using database = await postgresDatabase();
    await storeInPostgres(database.pool, model('shoes', [1], 1));
    await database.pool.query(
      `INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest)
       VALUES ('shoes', 2, 'b', 'o', '{"name": "shoes", "from_the_future": true}')`,
    );
    await using reader = await openRegistry(database.pool, database.url, log);
    expect([...(reader.current().models.get('shoes')?.versions.keys() ?? [])]).toEqual([1]);
  });

  it('opens from disk while Postgres is down, but not from a damaged file', async () => {
    await using database = await createMigratedDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-registry-'));
    await using _folder = { [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
    const path = join(folder, 'registry.json');
    await using pool = openPool(database.url, { max: 2, queryTimeoutMs: 10_000, application: 'kept', log });
    await storeInPostgres(pool, model('churn', [1, 2], 2));
    {
      await using registry = await openRegistry(pool, database.url, log, { file: snapshotFile(path, log) });
      expect(registry.current().models.get('churn')?.liveVersion).toBe(2);
    }
    const nowhere = 'postgres://u:p@127.0.0.1:9/none';
    await using away = openPool(nowhere, { max: 1, queryTimeoutMs: 1_000, application: 'kept', log });
    await expect(openRegistry(away, nowhere, log)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    {
      await using registry = await openRegistry(away, nowhere, log, { file: snapshotFile(path, log) });
      const record = registry.current().models.get('churn');
      expect(record).toMatchObject({ liveVersion: 2, generation: 2 });
      expect(record?.versions.get(1)?.manifest).toEqual(manifestNamed('churn'));
      expect(registry.confirmedAt()).toBeGreaterThan(0);
    }
    await writeFile(path, (await readFile(path, 'utf8')).replace('churn', 'chorn'));
    await expect(openRegistry(away, nowhere, log, { file: snapshotFile(path, log) })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });

  it('keeps the last snapshot while Postgres is down', async () => {
    await using database = await postgresDatabase();
    await storeInPostgres(database.pool, model('shoes', [1], 1));
    const pool = openPool(database.url, { max: 2, queryTimeoutMs: 10_000, application: 'away', log });
    await using reader = await openRegistry(pool, database.url, log);
    const before = reader.current();
    await pool.end();
    await expect(reader.refresh()).rejects.toMatchObject({ message: 'the registry cannot be read' });
    expect(reader.current()).toBe(before);
  });
});
