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
import { examine } from './doctor.ts';

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
  it('brings back every table and object in an empty database and store', async () => {
    await using from = await openStores();
    await using into = await openStores();
    await using place = await folder();
    await used(from);
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
        (await stores.pool.query(`SELECT to_jsonb(t) AS row FROM ${table} t ORDER BY 1`)).rows;
      expect(await rows(into), table).toEqual(await rows(from));
    }
    expect(await verifyLedger(into.pool)).toEqual(await verifyLedger(from.pool));
    await into.registry.refresh();
    // Sequences go on where they were, and nothing that existed is given twice.
    await label(
      into,
      'c',
      (await logPredictions(into.pool, [{ model: 'm', features: [1, 2] }]))[0] ?? '',
      'x',
    );
    const { rows } = await into.pool.query('SELECT count(DISTINCT sequence)::integer AS n FROM outcome');
    expect(rows).toEqual([{ n: 3 }]);
  });

  it('is refused where models are, where one lies already, and when it is incomplete', async () => {
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
  it('finds a missing bundle and a store that is away, and says what to do', async () => {
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
