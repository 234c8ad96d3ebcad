import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { z } from 'zod';
import type { PoolClient } from './pool.ts';
import { quotedName } from './quoted-name.ts';

/** Description of a copy of all tables; the rows are in files. */
export const tableCopySchema = z.object({
  /** Names of the migrations that had been applied. */
  migrations: z.array(z.string()),
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()) })),
  /** Partitions, with bounds in SQL. */
  partitions: z.array(z.object({ name: z.string(), parent: z.string(), bound: z.string() })),
  sequences: z.array(z.object({ name: z.string(), value: z.string() })),
});
export type TableCopy = z.output<typeof tableCopySchema>;

const MIGRATIONS = 'schema_migration';

/**
 * Writes every table of the schema `public` to `folder/NAME.copy.gz`, in Postgres' text format. Must run inside one
 * repeatable-read transaction, so that all files show the same moment. `leftOut`: columns, by table, that mean nothing in
 * another database.
 */
export async function copyTablesOut(
  client: PoolClient,
  folder: string,
  leftOut: ReadonlyMap<string, readonly string[]> = new Map(),
): Promise<TableCopy> {
  await mkdir(folder, { recursive: true });
  const tables: TableCopy['tables'] = [];
  for (const name of await tableNames(client)) {
    const columns = (await columnsOf(client, name)).filter((column) => !leftOut.get(name)?.includes(column));
    const list = columns.map(quotedName).join(', ');
    const rows = client.query(copyTo(`COPY (SELECT ${list} FROM ${quotedName(name)}) TO STDOUT`));
    await pipeline(rows, createGzip(), createWriteStream(join(folder, `${name}.copy.gz`)));
    tables.push({ name, columns });
  }
  const migrations = await client.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS} ORDER BY name`);
  const partitions = await client.query<TableCopy['partitions'][number]>(
    `SELECT child.relname AS name, parent.relname AS parent, pg_get_expr(child.relpartbound, child.oid) AS bound
     FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
     WHERE parent.relkind = 'p' AND child.relnamespace = 'public'::regnamespace ORDER BY 1`,
  );
  const sequences = await client.query<{ name: string; value: string }>(
    `SELECT sequencename AS name, last_value::text AS value FROM pg_sequences
     WHERE schemaname = 'public' AND last_value IS NOT NULL ORDER BY 1`,
  );
  return {
    migrations: migrations.rows.map((row) => row.name),
    tables,
    partitions: partitions.rows,
    sequences: sequences.rows,
  };
}

/**
 * Replaces the content of every table by a copy that `copyTablesOut` wrote. Must run inside a transaction of the
 * tables' owner, on a database with at least the migrations of the copy. Triggers do not run, because the copy
 * includes the data that they maintain. Columns that were left out get their defaults. Throws FAILED_PRECONDITION for a copy of a newer schema.
 */
export async function copyTablesIn(client: PoolClient, folder: string, copy: TableCopy): Promise<void> {
  const applied = await client.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS}`);
  const known = new Set(applied.rows.map((row) => row.name));
  const missing = copy.migrations.find((name) => !known.has(name));
  if (missing !== undefined)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `the backup was made with migration ${missing}, which this version does not have: restore it with a newer version`,
      { reason: 'newer_schema' },
    );
  const present = await tableNames(client);
  for (const { name, parent, bound } of copy.partitions)
    await client.query(
      `CREATE TABLE IF NOT EXISTS ${quotedName(name)} PARTITION OF ${quotedName(parent)} ${bound}`,
    );
  // Includes the trigger that keeps anybody from emptying the ledger; all of this is one transaction.
  const setTriggers = async (verb: 'DISABLE' | 'ENABLE') => {
    for (const name of present) await client.query(`ALTER TABLE ${quotedName(name)} ${verb} TRIGGER USER`);
  };
  await setTriggers('DISABLE');
  await client.query(`TRUNCATE ${present.map(quotedName).join(', ')}`);
  const columns = new Map(copy.tables.map((table) => [table.name, table.columns]));
  for (const name of await inOrderOfReferences(client, present)) {
    const list = columns.get(name);
    if (list === undefined) continue;
    const into = client.query(
      copyFrom(`COPY ${quotedName(name)} (${list.map(quotedName).join(', ')}) FROM STDIN`),
    );
    await pipeline(createReadStream(join(folder, `${name}.copy.gz`)), createGunzip(), into);
  }
  await setTriggers('ENABLE');
  for (const { name, value } of copy.sequences)
    await client.query('SELECT setval($1::regclass, $2)', [quotedName(name), value]);
}

/** Our tables; partitions are reached through their parents. */
async function tableNames(client: PoolClient): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> $1
     ORDER BY 1`,
    [MIGRATIONS],
  );
  return rows.map((row) => row.name);
}

/** Columns that can be written: all except generated ones. */
async function columnsOf(client: PoolClient, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum`,
    [quotedName(table)],
  );
  return rows.map((row) => row.name);
}

/** Sorts tables so that each comes after those that it references. */
async function inOrderOfReferences(client: PoolClient, names: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string; target: string }>(
    `SELECT DISTINCT source.relname AS name, target.relname AS target FROM pg_constraint
     JOIN pg_class source ON source.oid = conrelid JOIN pg_class target ON target.oid = confrelid
     WHERE contype = 'f' AND conrelid <> confrelid`,
  );
  const ordered: string[] = [];
  const visit = (name: string) => {
    if (ordered.includes(name) || !names.includes(name)) return;
    for (const row of rows) if (row.name === name) visit(row.target);
    ordered.push(name);
  };
  for (const name of names) visit(name);
  return ordered;
}
