import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Authenticator } from '@hotloop/platform/auth/authorization.ts';
import { Closing } from '@hotloop/platform/closing.ts';
import { openSqlDatabase, type SqlDatabase } from '@hotloop/platform/duckdb/sql-database.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { ARCHIVE_FOLDERS, type SqlArchive } from './archive-views.ts';
import type { TrainingDoor } from './create-model.ts';
import { openLoopTables } from './loop-tables.ts';
import { catalogMacros } from './postgres-catalog.ts';
import { addPredictFunctions } from './predict-functions.ts';
import { createSqlEngine } from './sql-engine.ts';
import { startWireServer, type WireServer } from './wire/wire-server.ts';

export interface SqlOptions {
  readonly listen: string;
  readonly statementTimeoutMs: number;
  readonly memoryMb: number;
  readonly databaseUrl: string;
  /** Folder in which statements may read and write Parquet, CSV and JSON files; without it they may access no files. */
  readonly files?: string;
  /** The archive of events and of the log, available as tables if given. */
  readonly archive?: SqlArchive;
  /** Where CREATE MODEL requests a training. */
  readonly training?: TrainingDoor;
}

export interface SqlAdapters {
  readonly pool: Queryable;
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
  readonly authenticator: Authenticator;
  readonly log: Log;
}

const MAX_SESSIONS = 64;

async function addCatalog(database: SqlDatabase): Promise<void> {
  using connection = await database.connect();
  for (const statement of catalogMacros()) await connection.run(statement);
}

/** Opens the embedded database with its functions and tables, and serves it over the Postgres protocol. */
export async function openSql(options: SqlOptions, adapters: SqlAdapters): Promise<WireServer> {
  const { pool, registry, bundles, authenticator, log } = adapters;
  const closing = new Closing(log);
  try {
    const tablesFolder = await mkdtemp(join(tmpdir(), 'hotloop-sql-tables-'));
    closing.defer('SQL folder', () => rm(tablesFolder, { recursive: true, force: true }));
    const inPlace = options.archive?.folder;
    const archiveFolder = inPlace === undefined ? [] : ARCHIVE_FOLDERS.map((folder) => join(inPlace, folder));
    const database = closing.use(
      'SQL database',
      await openSqlDatabase({
        memoryMb: options.memoryMb,
        threads: 1,
        files: false,
        folders: [tablesFolder, ...(options.files === undefined ? [] : [options.files]), ...archiveFolder],
      }),
    );
    const tables = closing.use(
      'loop tables',
      await openLoopTables(database, options.databaseUrl, tablesFolder, options.archive),
    );
    const functions = await addPredictFunctions(database, registry, bundles);
    await addCatalog(database);
    const engine = createSqlEngine(
      database,
      functions,
      tables,
      { registry, bundles, door: options.training, folder: tablesFolder },
      { database: pool, files: options.files, cache: tablesFolder },
    );
    const server = closing.use(
      'SQL server',
      await startWireServer(
        engine,
        authenticator,
        { listen: options.listen, statementTimeoutMs: options.statementTimeoutMs, maxSessions: MAX_SESSIONS },
        log,
      ),
    );
    return { address: server.address, [Symbol.asyncDispose]: async () => void (await closing.close(5_000)) };
  } catch (error) {
    await closing.close(5_000);
    throw error;
  }
}
