import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Folders of the parts of an archive. Postgres writes into `wal`, which is owned by the account that it runs as. */
export function archiveFolders(archive: string) {
  return { wal: join(archive, 'wal'), objects: join(archive, 'objects'), bases: join(archive, 'bases') };
}

/** Written last into a copy of Postgres' files: a folder without it is an incomplete copy. */
export const BASE_DESCRIPTION = 'base.json';

const baseSchema = z.object({
  /** From this time on, the copy and the log together can restore any moment. Milliseconds since 1970. */
  usableFrom: z.number(),
  /** The first file of the write-ahead log that it needs. */
  firstWal: z.string(),
});
export type BaseDescription = z.output<typeof baseSchema>;

export interface Base extends BaseDescription {
  readonly folder: string;
}

/** Complete copies, the oldest first. */
export async function listBases(archive: string): Promise<Base[]> {
  const { bases } = archiveFolders(archive);
  const found: Base[] = [];
  for (const name of await readdir(bases).catch(() => [])) {
    const folder = join(bases, name);
    const text = await readFile(join(folder, BASE_DESCRIPTION), 'utf8').catch(() => undefined);
    if (text !== undefined) found.push({ ...baseSchema.parse(JSON.parse(text)), folder });
  }
  return found.sort((a, b) => a.usableFrom - b.usableFrom);
}
