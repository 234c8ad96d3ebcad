import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openObjectStore } from '@hotloop/platform/object-store/open-object-store.ts';
import { duringBaseBackup } from '@hotloop/platform/postgres/base-backup.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { archiveFolders, BASE_DESCRIPTION, type BaseDescription, listBases } from './archive-layout.ts';
import { copyDataFolder } from './copy-data-folder.ts';

/** How far back one can restore. */
const KEEP_MS = 7 * DAY_MS;
const OBJECTS_EVERY_MS = 10_000;

export interface ArchiveOptions {
  /** Used by this installation only; preferably on another disk. */
  readonly archive: string;
  readonly databaseUrl: string;
  /** Postgres' folder, which contains `data` and `password`. */
  readonly postgresFolder: string;
  /** The model store: a folder or s3://BUCKET/PREFIX. */
  readonly store: string;
  readonly say: (line: string) => void;
}

/**
 * Maintains what `hotloop restore --at` needs, until disposed of: Postgres archives its log by itself
 * (`startPostgres`); this copies its files now and once a day, copies new objects every ten seconds, and removes what
 * is older than a week. A step that fails is reported and retried.
 */
export function keepArchive(options: ArchiveOptions): AsyncDisposable {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    let nextBase = 0;
    let failed = '';
    while (!signal.aborted) {
      try {
        if (Date.now() >= nextBase) {
          await copyBase(options);
          await prune(options.archive, Date.now() - KEEP_MS);
          nextBase = Date.now() + DAY_MS;
        }
        await copyObjects(options, signal);
        failed = '';
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        if (why !== failed && !signal.aborted) options.say(`the archive is behind: ${why}`);
        failed = why;
      }
      await delay(OBJECTS_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
    // Objects added since the last round.
    await copyObjects(options).catch(() => undefined);
  })();
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

async function copyBase({ archive, databaseUrl, postgresFolder }: ArchiveOptions): Promise<void> {
  const { bases } = archiveFolders(archive);
  await mkdir(bases, { recursive: true, mode: 0o700 });
  const folder = join(bases, new Date().toISOString().replaceAll(/[:.]/g, '-'));
  await mkdir(folder, { mode: 0o700 });
  try {
    const label = await duringBaseBackup(databaseUrl, () =>
      copyDataFolder(join(postgresFolder, 'data'), join(folder, 'data')),
    );
    await copyFile(join(postgresFolder, 'password'), join(folder, 'password'));
    await writeFile(join(folder, 'data', 'backup_label'), label);
    const description: BaseDescription = {
      usableFrom: Date.now(),
      firstWal: /^START WAL LOCATION:.*\(file ([0-9A-F]{24})\)/m.exec(label)?.[1] ?? '',
    };
    await writeFile(join(folder, BASE_DESCRIPTION), JSON.stringify(description));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** An object never changes under its key. Removed objects are kept for the moments at which they existed. */
async function copyObjects({ archive, store }: ArchiveOptions, signal?: AbortSignal): Promise<void> {
  const { objects } = archiveFolders(archive);
  using opened = openObjectStore(store);
  for await (const { key, bytes } of opened.list('')) {
    signal?.throwIfAborted();
    const path = join(objects, key);
    const known = await stat(path).catch(() => undefined);
    if (known?.size === bytes) continue;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await opened.getFile(key, `${path}.part`);
    await rename(`${path}.part`, path);
  }
}

/** Removes copies from before `before`, except for the newest of them, and log files that no copy needs. */
async function prune(archive: string, before: number): Promise<void> {
  const bases = await listBases(archive);
  const old = bases.filter(({ usableFrom }) => usableFrom < before).slice(0, -1);
  for (const { folder } of old) await rm(folder, { recursive: true, force: true });
  const needed = bases.find((base) => !old.includes(base))?.firstWal ?? '';
  const { wal } = archiveFolders(archive);
  for (const name of await readdir(wal))
    if (/^[0-9A-F]{24}$/.test(name) && name < needed) await rm(join(wal, name), { force: true });
}
