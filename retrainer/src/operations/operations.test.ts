import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyLedger } from '../ledger/ledger.ts';
import {
  linearModel,
  logPredictions,
  makeLive,
  manifestText,
  openStores,
  push,
  type Stores,
} from '../testing/fixture.ts';
import { makeBackup, restoreBackup } from './backup.ts';
import { examine } from './doctor/examine.ts';
import { collectSupport } from './support/collect-support.ts';

const SECRET = 'person-4711';

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'hotloop-operations-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function label(stores: Stores, id: string, predictionId: string, user: string): Promise<void> {
  await stores.pool.query(
    `INSERT INTO outcome (id, model, source, kind, prediction_id, keys, value, occurred_at)
     VALUES ($1, 'm', 'test', 'label', $2, jsonb_build_object('user', $3::text), '1', now())`,
    [id, predictionId, user],
  );
}

/** A model with a live version, two predictions with outcomes. */
async function used(stores: Stores): Promise<readonly string[]> {
  const version = await push(stores, manifestText('m'), linearModel());
  await makeLive(stores, 'm', version);
  const ids = await logPredictions(stores.pool, [
    { model: 'm', entities: { user: SECRET }, features: [1, 2] },
    { model: 'm', entities: { user: 'person-2' }, features: [3, 4] },
  ]);
  await label(stores, 'a', ids[0] ?? '', SECRET);
  await label(stores, 'b', ids[1] ?? '', 'person-2');
  return ids;
}

describe('a backup', () => {
  it('restores every table and object in an empty database and store', async () => {
    await using from = await openStores();
    await using into = await openStores();
    await using place = await folder();
    await used(from);
    // Positions as in a database that was used for a long time.
    await from.pool.query('UPDATE monitor_position SET ingested = 1000000000000');
    await makeBackup({ pool: from.pool, store: from.objects }, place.path);
    await restoreBackup({ pool: into.pool, store: into.objects }, place.path);
    for (const table of [
      'model',
      'model_version',
      'prediction',
      'outcome',
      'ledger',
      'logged_count',
      'outcome_count',
    ]) {
      const rows = async (stores: Stores) =>
        (await stores.pool.query(`SELECT to_jsonb(t) - 'ingested' AS row FROM ${table} t ORDER BY 1`)).rows;
      expect(await rows(into), table).toEqual(await rows(from));
    }
    expect(await verifyLedger(into.pool)).toEqual(await verifyLedger(from.pool));
    await into.registry.refresh();
    const unread = async () =>
      (
        await into.pool.query<{ n: number }>(
          'SELECT count(*)::integer AS n FROM prediction JOIN monitor_position AS position ON prediction.ingested > position.ingested',
        )
      ).rows[0]?.n;
    expect(await unread()).toBe(0);
    // Sequences continue where they were, so no number is given twice.
    await label(
      into,
      'c',
      (await logPredictions(into.pool, [{ model: 'm', features: [1, 2] }]))[0] ?? '',
      'x',
    );
    const { rows } = await into.pool.query('SELECT count(DISTINCT sequence)::integer AS n FROM outcome');
    expect(rows).toEqual([{ n: 3 }]);
    // The monitor continues with new rows, whatever transaction number the other database had reached.
    expect(await unread()).toBe(1);
  });

  it('is refused for a database with models, a folder with a backup, and an incomplete backup', async () => {
    await using stores = await openStores();
    await using place = await folder();
    const sources = { pool: stores.pool, store: stores.objects };
    await used(stores);
    await makeBackup(sources, place.path);
    await expect(makeBackup(sources, place.path)).rejects.toThrow('holds a backup already');
    await expect(restoreBackup(sources, place.path)).rejects.toMatchObject({ reason: 'not_empty' });
    await expect(restoreBackup(sources, place.path, { replace: true })).resolves.toBeDefined();
    await rm(join(place.path, 'backup.json'));
    await expect(restoreBackup(sources, place.path)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('that ends early changes nothing', async () => {
    await using stores = await openStores();
    await using place = await folder();
    const sources = { pool: stores.pool, store: stores.objects };
    await used(stores);
    await makeBackup(sources, place.path);
    await writeFile(join(place.path, 'tables', 'prediction.copy.gz'), 'not gzip');
    await expect(restoreBackup(sources, place.path, { replace: true })).rejects.toThrow();
    expect((await stores.pool.query('SELECT FROM outcome')).rowCount).toBe(2);
  });
});

describe('the doctor', () => {
  it('finds a missing bundle and an unavailable store, and names the remedy', async () => {
    await using stores = await openStores();
    await used(stores);
    const well = async () => undefined;
    const patient = {
      pool: stores.pool,
      store: stores.objects,
      folder: tmpdir(),
      redis: { cache: well, queue: well },
    };
    const before = await examine(patient);
    expect(before.find(({ check }) => check === 'live versions')).toMatchObject({ ok: true });
    for await (const { key } of stores.objects.list('')) await stores.objects.remove(key);
    const away = async () => {
      throw new Error('connect ECONNREFUSED');
    };
    const after = await examine({ ...patient, redis: { cache: away, queue: well } });
    expect(after.find(({ check }) => check === 'live versions')).toMatchObject({
      ok: false,
      remedy: expect.stringContaining('restore the store'),
    });
    expect(after.find(({ check }) => check === 'redis cache')).toMatchObject({ ok: false });
    expect(after.find(({ check }) => check === 'postgres')).toMatchObject({ ok: true });
  });
});

describe('a support bundle', () => {
  it('contains states, counts and logs, but no secrets or entities of predictions', async () => {
    await using stores = await openStores();
    await using place = await folder();
    await used(stores);
    const secret = 'Tr0ub4dor-3-horse';
    await stores.pool.query(
      `INSERT INTO node_version (node, model, version, state, detail) VALUES ('n', 'm', 1, 'failed', $1)`,
      [`cannot reach redis://x:${secret}@cache`],
    );
    await writeFile(
      join(place.path, 'compute.log'),
      `{"url":"postgres://hotloop:${secret}@db/x","message":"away"}\n{"key":"hl_abcdefghijklmnopqrstuvwxyz"}\n`,
    );
    const files = await collectSupport({
      pool: stores.pool,
      findings: [{ check: 'store', ok: false, says: `password=${secret}`, remedy: '' }],
      environment: { DATABASE_URL: `postgres://hotloop:${secret}@db/x`, HOTLOOP_LOG_LEVEL: 'info' },
      logFolder: place.path,
      version: '0.1.0',
      now: 1_700_000_000_000,
    });
    const all = [...files].map(([name, text]) => `${name}\n${text}`).join('\n');
    for (const hidden of [secret, 'hl_abcdefgh', SECRET, 'person-2']) expect(all).not.toContain(hidden);
    expect(files.get('counts.json')).toContain('"predictions": "2"');
    expect(files.get('node-versions.json')).toContain('cannot reach redis://[removed]@cache');
    expect(files.get('logs/compute.log')).toContain('"message":"away"');
    expect(all).not.toContain('"error":');
  });
});
