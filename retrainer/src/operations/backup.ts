import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import { copyTablesIn, copyTablesOut, tableCopySchema } from '@hotloop/platform/postgres/copy-tables.ts';
import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { readFromHere, TRANSACTION_COLUMNS } from '../monitoring/reading-position.ts';

/** The stores that a backup reads and a restore writes. */
export interface BackupSources {
  readonly pool: Pool;
  /** Bundles, datasets and the archive. */
  readonly store: ObjectStore;
}

/** Written last: a folder without it is not a complete backup. */
const DESCRIPTION = 'backup.json';
const FORMAT = 1;

const backupSchema = z.object({
  format: z.literal(FORMAT),
  /** The time whose state the tables have. */
  at: z.string(),
  database: tableCopySchema,
  objects: z.array(z.object({ key: z.string(), bytes: z.number() })),
});
export type Backup = z.output<typeof backupSchema>;

/**
 * Copies Postgres and the store into an empty folder, while everything runs. All tables are read in one snapshot. Objects are copied
 * after it; an object is always written before the row that names it, so every named object is in the backup. Not included: Redis
 * (rebuilt from the archive), Kafka, and rows that nodes have not yet shipped from their journals. Throws FAILED_PRECONDITION for
 * a folder that contains a backup.
 */
export async function makeBackup({ pool, store }: BackupSources, folder: string): Promise<Backup> {
  const description = join(folder, DESCRIPTION);
  if (await exists(description))
    throw new HotloopError('FAILED_PRECONDITION', `${folder} holds a backup already; name another folder`);
  await mkdir(folder, { recursive: true });
  const { at, database } = await transaction(
    pool,
    async (client) => {
      await client.query('SET LOCAL statement_timeout = 0');
      const { rows } = await client.query<{ at: Date }>('SELECT now() AS at');
      return {
        at: rows[0]?.at ?? new Date(),
        database: await copyTablesOut(client, join(folder, 'tables'), TRANSACTION_COLUMNS),
      };
    },
    { isolation: 'repeatable read' },
  );
  const objects: Backup['objects'] = [];
  for await (const { key, bytes } of store.list('')) {
    const path = join(folder, 'objects', key);
    await mkdir(dirname(path), { recursive: true });
    await store.getFile(key, path);
    objects.push({ key, bytes });
  }
  const backup: Backup = { format: FORMAT, at: at.toISOString(), database, objects };
  await writeFile(description, JSON.stringify(backup, null, 2));
  return backup;
}

/**
 * Restores a backup: objects first, then all tables in one transaction. The database must have been migrated. Throws
 * FAILED_PRECONDITION if the database already contains models, unless `replace` is set; INVALID_ARGUMENT for a folder
 * without a complete backup.
 */
export async function restoreBackup(
  { pool, store }: BackupSources,
  folder: string,
  { replace = false }: { readonly replace?: boolean } = {},
): Promise<Backup> {
  const backup = await readBackup(folder);
  await refuseUsed(pool, replace);
  for (const { key } of backup.objects) await store.putFile(key, join(folder, 'objects', key));
  await transaction(pool, async (client) => {
    await client.query('SET LOCAL statement_timeout = 0');
    await copyTablesIn(client, join(folder, 'tables'), backup.database);
    await readFromHere(client);
    await client.query(`SELECT pg_notify('hotloop_registry', '')`);
  });
  return backup;
}

async function readBackup(folder: string): Promise<Backup> {
  let text: string;
  try {
    text = await readFile(join(folder, DESCRIPTION), 'utf8');
  } catch (cause) {
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${folder} holds no complete backup: ${DESCRIPTION} is missing`,
      {
        cause,
      },
    );
  }
  try {
    return backupSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new HotloopError('INVALID_ARGUMENT', `${join(folder, DESCRIPTION)} is no backup of this version`, {
      cause,
    });
  }
}

async function refuseUsed(pool: Pool, replace: boolean): Promise<void> {
  if (replace) return;
  const { rows } = await pool.query<{ used: boolean }>('SELECT EXISTS (SELECT FROM model) AS used');
  if (rows[0]?.used)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      'the database holds models, which the restore would delete; restore into an empty one or add --replace',
      { reason: 'not_empty' },
    );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
