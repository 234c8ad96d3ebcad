import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { listSegments, segmentPath } from '@hotloop/platform/journal/segment.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

const POLL_MS = 50;

/**
 * Resolves when all journals beneath a folder stand in Postgres up to their ends; nothing may be written meanwhile.
 * Throws when that takes longer.
 */
export async function shippedJournals(folder: string, postgres: Queryable, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const journals = entries.filter((entry) => entry.isFile() && entry.name === 'journal.json');
  for (const { parentPath } of journals) {
    while (!(await isShipped(parentPath, postgres))) {
      if (performance.now() > end) throw new Error('the logs were not shipped in time');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

async function isShipped(journal: string, postgres: Queryable): Promise<boolean> {
  const identity = JSON.parse(await readFile(join(journal, 'journal.json'), 'utf8')) as {
    id: string;
    table: string;
  };
  const last = listSegments(journal).at(-1);
  if (last === undefined) return true;
  const { size } = await stat(segmentPath(journal, last));
  const { rows } = await postgres.query<{ segment: string; offset: string }>(
    'SELECT segment, "offset" FROM journal_position WHERE journal = $1',
    [`${identity.table}/${identity.id}`],
  );
  const [position] = rows;
  // A journal that nothing was written to yet holds its header alone, and has no position.
  if (!position) return size < 4096 && listSegments(journal).length === 1;
  return Number(position.segment) === last && Number(position.offset) === size;
}
