import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDb, openDuckDb, parquetSource, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { type Pool, type PoolClient, transaction } from '@hotloop/platform/postgres/pool.ts';
import { appendLedger } from '../ledger/ledger.ts';

/** Where an entity leaves traces. */
export interface ForgetStores {
  readonly pool: Pool;
  readonly store: ObjectStore;
  /** Deletes all keys of Redis that belong to the entity; answers how many. */
  readonly forgetHistory: (entity: string, id: string) => Promise<number>;
}

export interface Forgotten {
  readonly historyKeys: number;
  readonly predictions: number;
  readonly outcomes: number;
  readonly deadLetters: number;
  readonly archivedEvents: number;
  /** Files in which the entity's predictions were: they are removed, their description stays. */
  readonly datasets: readonly string[];
  /** What was trained on them, and still serves what it learned. */
  readonly versions: readonly { readonly model: string; readonly version: number }[];
}

/** JSON text holds the id as a whole value. */
const VALUE_IN_JSON = (column: string, id: string) => `contains(${column}, ${sqlText(JSON.stringify(id))})`;

/**
 * Erases an entity (such as user 42) from history, prediction log, decisions, outcomes, dead letters, the event archive and stored
 * datasets, and writes a ledger row that says how much went, without the id. Datasets that are collected later do not hold it,
 * because they are made from the log. Versions that were trained on it are listed: whether they are retrained is for a person
 * to decide. May be repeated. What nodes have not shipped yet is not found: repeat it after a minute.
 */
export async function forgetEntity(
  stores: ForgetStores,
  who: { readonly entity: string; readonly id: string; readonly actor: string; readonly now: number },
): Promise<Forgotten> {
  const { pool, store } = stores;
  const historyKeys = await stores.forgetHistory(who.entity, who.id);
  await using database = await openDuckDb({ memoryMb: 256 });
  const predictionIds = await predictionsOf(pool, who.entity, who.id);
  const archivedEvents = await rewriteEvents(database, store, who.entity, who.id);
  const files = await datasetsWith(database, store, predictionIds);
  for (const key of files) await store.remove(key);
  const datasets = files.map((key) => key.replace(/^datasets\//, '').replace(/\.parquet$/, ''));
  return transaction(pool, async (client) => {
    const deleted = await deleteRows(client, who.entity, who.id, predictionIds);
    await client.query('UPDATE dataset SET withdrawn_at = now() WHERE sha256 = ANY($1)', [datasets]);
    const { rows: versions } = await client.query<{ model: string; version: number }>(
      'SELECT model, version FROM model_version WHERE dataset_sha256 = ANY($1) ORDER BY model, version',
      [datasets],
    );
    const forgotten = { historyKeys, ...deleted, archivedEvents, datasets, versions };
    await appendLedger(client, {
      at: who.now,
      actor: who.actor,
      action: 'forget',
      model: '',
      version: null,
      detail: { entity: who.entity, ...forgotten },
    });
    return forgotten;
  });
}

/** Predictions for the entity, and those in which it was a candidate. */
async function predictionsOf(pool: Pool, entity: string, id: string): Promise<string[]> {
  const { rows } = await pool.query<{ prediction_id: string }>(
    `SELECT prediction_id FROM prediction WHERE entities @> jsonb_build_object($1::text, $2::text)
       OR ($1 = 'item' AND $2 = ANY(candidates))`,
    [entity, id],
  );
  return rows.map((row) => row.prediction_id);
}

async function deleteRows(
  client: PoolClient,
  entity: string,
  id: string,
  predictionIds: readonly string[],
): Promise<Pick<Forgotten, 'predictions' | 'outcomes' | 'deadLetters'>> {
  const count = async (sql: string, parameters: unknown[]) =>
    (await client.query(sql, parameters)).rowCount ?? 0;
  const outcomes = await count(
    `DELETE FROM outcome WHERE prediction_id = ANY($1::uuid[]) OR keys @> jsonb_build_object($2::text, $3::text)`,
    [predictionIds, entity, id],
  );
  await client.query('DELETE FROM decision WHERE prediction_id = ANY($1::uuid[])', [predictionIds]);
  const predictions = await count('DELETE FROM prediction WHERE prediction_id = ANY($1::uuid[])', [
    predictionIds,
  ]);
  const deadLetters = await count(
    `DELETE FROM set_aside WHERE position($1::bytea IN value) > 0 OR position($1::bytea IN coalesce(key, ''::bytea)) > 0`,
    [Buffer.from(JSON.stringify(id))],
  );
  return { predictions, outcomes, deadLetters };
}

/** Writes the files of the event archive again without the entity's events; answers how many events went. */
async function rewriteEvents(
  database: DuckDb,
  store: ObjectStore,
  entity: string,
  id: string,
): Promise<number> {
  const isTheirs = `json_extract_string(entities, ${sqlText(`$."${entity}"`)}) = ${sqlText(id)}
    OR ${VALUE_IN_JSON('fields', id)}`;
  let gone = 0;
  for await (const { key } of store.list('events/')) {
    // DuckDB keeps what it read of a path: a name that is used again could give the bytes of the file before.
    const local = join(database.temporaryFolder, `events-${randomUUID()}.parquet`);
    const rewritten = join(database.temporaryFolder, `rewritten-${randomUUID()}.parquet`);
    await store.getFile(key, local);
    const [found] = await database.query(
      `SELECT count(*)::INTEGER AS events FROM ${parquetSource([local])} WHERE ${isTheirs}`,
    );
    const events = Number(found?.events ?? 0);
    if (events > 0) {
      await database.writeParquet(
        `SELECT * FROM ${parquetSource([local])} WHERE NOT (${isTheirs})`,
        rewritten,
      );
      await store.putFile(key, rewritten);
      gone += events;
    }
    await rm(local, { force: true });
    await rm(rewritten, { force: true });
  }
  return gone;
}

async function datasetsWith(
  database: DuckDb,
  store: ObjectStore,
  predictionIds: readonly string[],
): Promise<string[]> {
  if (predictionIds.length === 0) return [];
  await database.run('CREATE TABLE forgotten (prediction_id VARCHAR)');
  for (let from = 0; from < predictionIds.length; from += 1000) {
    const values = predictionIds.slice(from, from + 1000).map((id) => `(${sqlText(id)})`);
    await database.run(`INSERT INTO forgotten VALUES ${values.join(', ')}`);
  }
  const found: string[] = [];
  for await (const { key } of store.list('datasets/')) {
    if (!key.endsWith('.parquet')) continue;
    const local = join(database.temporaryFolder, `dataset-${randomUUID()}.parquet`);
    await store.getFile(key, local);
    const [row] = await database.query(
      `SELECT count(*)::INTEGER AS rows FROM ${parquetSource([local])} JOIN forgotten USING (prediction_id)`,
    );
    if (Number(row?.rows ?? 0) > 0) found.push(key);
    await rm(local, { force: true });
  }
  return found;
}
