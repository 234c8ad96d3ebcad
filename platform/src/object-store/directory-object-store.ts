import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkedKey, notFound, storeAway } from './object-key.ts';
import type { ObjectStore, StoredObject } from './object-store.ts';

/** Folder in which objects are written before they are renamed into place; no key can refer to it. */
const STAGING = '.staging';

/** Objects as files below a folder that all services of one machine, or of one shared volume, can read. */
export function directoryObjectStore(root: string): ObjectStore {
  const pathOf = (key: string) => join(root, checkedKey(key));
  /** Writes a temporary file, flushes it to disk, and renames it into place. */
  const place = async (key: string, write: (path: string) => Promise<void>) => {
    const path = pathOf(key);
    const staged = join(root, STAGING, randomUUID());
    try {
      await mkdir(dirname(staged), { recursive: true });
      await write(staged);
      const file = await open(staged, 'r+');
      await file.sync().finally(() => file.close());
      await mkdir(dirname(path), { recursive: true });
      await rename(staged, path);
    } catch (cause) {
      await rm(staged, { force: true }).catch(() => undefined);
      throw storeAway(cause);
    }
  };
  const reading = async <T>(key: string, read: (path: string) => Promise<T>): Promise<T> => {
    try {
      return await read(pathOf(key));
    } catch (cause) {
      if (isMissing(cause)) throw notFound(key, cause);
      throw cause instanceof Error && 'reason' in cause ? cause : storeAway(cause);
    }
  };
  return {
    put: (key, bytes) =>
      place(key, async (path) => {
        const file = await open(path, 'wx', 0o644);
        await file.writeFile(bytes).finally(() => file.close());
      }),
    putFile: (key, from) => place(key, (path) => copyFile(from, path)),
    get: (key) => reading(key, (path) => readFile(path)),
    getFile: (key, to) => reading(key, (path) => copyFile(path, to)),
    async *list(prefix) {
      // Only folders that the prefix contains completely can be skipped; the rest is compared.
      const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
      if (folder !== '') checkedKey(folder.slice(0, -1));
      for await (const object of walk(root, folder)) if (object.key.startsWith(prefix)) yield object;
    },
    async remove(key) {
      await rm(pathOf(key), { force: true }).catch((cause: unknown) => {
        throw storeAway(cause);
      });
    },
  };
}

async function* walk(root: string, folder: string): AsyncGenerator<StoredObject, void, undefined> {
  const entries = await readdir(join(root, folder), { withFileTypes: true }).catch((cause: unknown) => {
    if (isMissing(cause)) return [];
    throw storeAway(cause);
  });
  // In S3's order: by the bytes of the whole key, in which a folder's name is followed by a slash.
  const names = entries
    .filter(({ name }) => !name.startsWith('.'))
    .map((entry) => ({ entry, name: entry.isDirectory() ? `${entry.name}/` : entry.name }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const { entry, name } of names) {
    if (entry.isDirectory()) yield* walk(root, `${folder}${name}`);
    else {
      const found = await stat(join(root, folder, name)).catch(() => undefined);
      if (found) yield { key: `${folder}${name}`, bytes: found.size, modifiedMs: found.mtimeMs };
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
