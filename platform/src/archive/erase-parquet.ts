import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DuckDb, parquetSource, sqlName, sqlText } from '../duckdb/duckdb.ts';
import type { ObjectStore } from '../object-store/object-store.ts';
import { type Entity, fieldsOfKind, isDistinctive, jsonTextsOf, type Traces } from '../ports/erasure.ts';

/** Copies an object, passes the copy's path to `use`, and removes the copy. */
export async function withLocalCopy<T>(
  database: DuckDb,
  store: ObjectStore,
  key: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  // DuckDB caches files by path, so reusing a name could return the bytes of the earlier file.
  const path = join(database.temporaryFolder, `copy-${randomUUID()}.parquet`);
  try {
    await store.getFile(key, path);
    return await use(path);
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Rewrites a Parquet object without the rows that match a condition; returns how many were removed. An object without
 * such rows is left unchanged.
 */
export async function eraseFromParquet(
  database: DuckDb,
  store: ObjectStore,
  key: string,
  isTheirs: string,
): Promise<number> {
  return withLocalCopy(database, store, key, async (path) => {
    const source = parquetSource([path]);
    const [found] = await database.query(
      `SELECT count(*)::INTEGER AS theirs, (SELECT count(*)::INTEGER FROM ${source}) AS total FROM ${source} WHERE ${isTheirs}`,
    );
    const theirs = Number(found?.theirs ?? 0);
    if (theirs === 0) return 0;
    if (theirs === Number(found?.total)) {
      await store.remove(key);
      return theirs;
    }
    const rewritten = `${path}.rewritten.parquet`;
    try {
      await database.writeParquet(
        `SELECT * FROM ${source} WHERE (${isTheirs}) IS DISTINCT FROM true`,
        rewritten,
      );
      await store.putFile(key, rewritten);
    } finally {
      await rm(rewritten, { force: true });
    }
    return theirs;
  });
}

/** Names and types of a query's columns. */
export async function columnsOf(database: DuckDb, source: string): Promise<Map<string, string>> {
  const rows = await database.query(`DESCRIBE SELECT * FROM ${source}`);
  return new Map(rows.map((row) => [String(row.column_name), String(row.column_type)]));
}

/**
 * The condition for rows about an entity, for a table of unknown origin: a column named like the entity's kind;
 * otherwise any text that equals the id (unless it is too short to tell) or is JSON that contains it; and rows of its
 * predictions. Undefined when no column can match.
 */
export function rowsAbout(columns: ReadonlyMap<string, string>, traces: Traces): string | undefined {
  const { kind, id } = traces.entity;
  const conditions: string[] = [];
  const named = fieldsOfKind(kind).filter((name) => columns.has(name));
  for (const name of named) conditions.push(`CAST(${sqlName(name)} AS VARCHAR) = ${sqlText(id)}`);
  for (const [name, type] of columns) {
    const column = sqlName(name);
    const isCandidates = name === 'candidates' && kind === 'item';
    if (type === 'VARCHAR[]' && (isDistinctive(id) || isCandidates))
      conditions.push(`list_contains(${column}, ${sqlText(id)})`);
    if (type !== 'VARCHAR' && type !== 'JSON') continue;
    if (named.length === 0 && isDistinctive(id)) conditions.push(`${column} = ${sqlText(id)}`);
    conditions.push(holdsId(`CAST(${column} AS VARCHAR)`, traces.entity));
  }
  if (columns.has('prediction_id') && traces.predictions.length > 0)
    conditions.push('CAST(prediction_id AS VARCHAR) IN (SELECT prediction_id FROM forgotten)');
  return conditions.length === 0 ? undefined : conditions.join(' OR ');
}

/** The condition for JSON text that holds an entity's id. */
export function holdsId(column: string, entity: Entity): string {
  const each = jsonTextsOf(entity).map((text) => `contains(${column}, ${sqlText(text)})`);
  return `(${each.join(' OR ')})`;
}

/** Creates the table `forgotten` with the ids of predictions, for use in conditions. */
export async function nameForgotten(database: DuckDb, predictions: readonly string[]): Promise<void> {
  await database.createTable('forgotten', { prediction_id: 'VARCHAR' });
  await database.append(
    'forgotten',
    predictions.map((id) => [id]),
  );
}

/** The condition for archived events that name an entity. */
export function eventsOf(entity: Entity): string {
  return `json_extract_string(entities, ${sqlText(`$."${entity.kind}"`)}) = ${sqlText(entity.id)}
    OR ${holdsId('fields', entity)}`;
}
