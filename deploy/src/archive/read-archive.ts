import { chmod, chown, copyFile, lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { silentLog } from '@hotloop/platform/log.ts';
import { directoryObjectStore } from '@hotloop/platform/object-store/directory-object-store.ts';
import { openPool } from '@hotloop/platform/postgres/pool.ts';
import { type Backup, makeBackup } from '@hotloop/retrainer/operations/backup.ts';
import { BackingServiceError } from '../backing/backing-service-error.ts';
import { type RunningPostgres, startPostgres } from '../backing/postgres.ts';
import { startWatchdog } from '../backing/watchdog.ts';
import { archiveFolders, type Base, listBases } from './archive-layout.ts';
import { copyDataFolder } from './copy-data-folder.ts';

const REPLAY_MS = 3_600_000;
/** A file that is this much newer than the restored time contains everything before it, even if clocks differ. */
const MARGIN_MS = 120_000;
/** Postgres' message if the log ends before the requested time. */
const NOTHING_LATER = 'recovery ended before configured recovery target was reached';

export interface ReadArchiveOptions {
  readonly archive: string;
  /** The requested time, in milliseconds since 1970. */
  readonly at: number;
  /** A folder for this call only, with room for all of Postgres' files and all objects. */
  readonly scratch: string;
  /** Called before each long step. */
  readonly say: (line: string) => void;
}

/**
 * Creates a backup, in `scratch/backup`, of the state at a past time: a second Postgres replays the archived log on
 * a copy of the files up to that time. If the archive ends before it, everything in it is used. Throws RangeError
 * if the archive does not reach back far enough, or is not an archive.
 */
export async function backupFromArchive(
  { archive, at, scratch, say }: ReadArchiveOptions,
  signal: AbortSignal,
): Promise<{ readonly folder: string; readonly backup: Backup }> {
  const bases = await listBases(archive);
  const base = bases.findLast(({ usableFrom }) => usableFrom <= at);
  if (!base) throw new RangeError(tooEarly(archive, at, bases));
  say('replaying the archived log of Postgres');
  // Postgres may run as another account, which may enter the folder but read only its own files there.
  await chmod(scratch, 0o711);
  await using opened = new AsyncDisposableStack();
  const watchdog = opened.use(startWatchdog());
  const dir = resolve(scratch, 'postgres');
  const wal = join(dir, 'archived');
  const start = async (target: Record<string, string>) => {
    await unpack(base, dir);
    await copyLog(archiveFolders(archive).wal, wal, base.firstWal, at);
    const settings = { ...target, restore_command: `cp '${wal}/%f' '%p'`, max_connections: '100' };
    return startPostgres(
      { dir, settings, startTimeoutMs: REPLAY_MS, watchdog, log: () => undefined },
      signal,
    );
  };
  const postgres = opened.use(await replay(start, at));
  const pool = opened.use(
    openPool(postgres.url, {
      // No query timeout: pg never clears its timer for a COPY, which would keep the process alive until then.
      ...{ max: 1, queryTimeoutMs: 0, application: 'restore', log: silentLog() },
    }),
  );
  const folder = join(scratch, 'backup');
  await mkdir(folder, { mode: 0o700 });
  const store = directoryObjectStore(archiveFolders(archive).objects);
  return { folder, backup: await makeBackup({ pool, store }, folder) };
}

async function replay(
  start: (target: Record<string, string>) => Promise<RunningPostgres>,
  at: number,
): Promise<RunningPostgres> {
  try {
    return await start({
      // Time zone names, including Z, are not known yet when settings are read.
      recovery_target_time: new Date(at).toISOString().replace('Z', '+00'),
      recovery_target_action: 'promote',
    });
  } catch (error) {
    if (!(error instanceof BackingServiceError) || !error.message.includes(NOTHING_LATER)) throw error;
    return start({});
  }
}

async function unpack(base: Base, dir: string): Promise<void> {
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  const data = join(dir, 'data');
  await copyDataFolder(join(base.folder, 'data'), data);
  await copyFile(join(base.folder, 'password'), join(dir, 'password'));
  const owner = await lstat(data);
  await writeFile(join(data, 'recovery.signal'), '', { mode: 0o600 });
  if (process.getuid?.() === 0) await chown(join(data, 'recovery.signal'), owner.uid, owner.gid);
}

/**
 * Copies the archived log files from `first` on, up to the first one from after `at`, to where Postgres' account can
 * read them.
 */
async function copyLog(from: string, into: string, first: string, at: number): Promise<void> {
  await mkdir(into);
  for (const name of (await readdir(from)).sort()) {
    if (!/^[0-9A-F]{24}$/.test(name) || name < first) continue;
    const source = join(from, name);
    const { uid, gid, mtimeMs } = await lstat(source);
    await copyFile(source, join(into, name));
    if (process.getuid?.() === 0) await chown(join(into, name), uid, gid);
    if (mtimeMs > at + MARGIN_MS) break;
  }
}

function tooEarly(archive: string, at: number, bases: readonly Base[]): string {
  const [oldest] = bases;
  return oldest === undefined
    ? `${archive} contains no archive of \`hotloop up --archive\``
    : `${archive} reaches back to ${new Date(oldest.usableFrom).toISOString()}, not to ${new Date(at).toISOString()}`;
}
