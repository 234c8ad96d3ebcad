import { chown, copyFile, lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files of the running server; the log comes from the archive. */
const LEFT_OUT = new Set(['postmaster.pid', 'postmaster.opts', 'backup_label.old', 'recovery.signal']);
const EMPTY = new Set(['pg_wal', 'pg_replslot', 'pg_stat_tmp', 'pg_notify', 'pg_dynshmem', 'pg_subtrans']);

/** Copies Postgres' files, which may change and disappear meanwhile, with their owner. `into` must not exist. */
export async function copyDataFolder(from: string, into: string): Promise<void> {
  await copyFolder(from, into, true);
  await mkdir(join(into, 'pg_wal', 'archive_status'), { recursive: true });
  const { uid, gid } = await lstat(from);
  for (const folder of ['pg_wal', join('pg_wal', 'archive_status')])
    await keepOwner(join(into, folder), uid, gid);
}

async function copyFolder(from: string, into: string, top: boolean): Promise<void> {
  const about = await lstat(from);
  await mkdir(into, { mode: 0o700 });
  await keepOwner(into, about.uid, about.gid);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(into, entry.name);
    if (entry.isDirectory()) {
      if (!top || !EMPTY.has(entry.name)) await copyFolder(source, target, false);
      else {
        await mkdir(target, { mode: 0o700 });
        await keepOwner(target, about.uid, about.gid);
      }
    } else if (entry.isFile() && !(top && LEFT_OUT.has(entry.name))) {
      try {
        await copyFile(source, target);
        await keepOwner(target, about.uid, about.gid);
      } catch (error) {
        // A table that was dropped meanwhile; replaying the log handles it.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }
}

/** Only root can change the owner of files, and only root needs to. */
async function keepOwner(path: string, uid: number, gid: number): Promise<void> {
  if (process.getuid?.() === 0) await chown(path, uid, gid);
}
