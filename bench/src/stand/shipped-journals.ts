import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeSegmentHeader, listSegments, segmentPath } from '@hotloop/platform/journal/segment.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';

const POLL_MS = 50;

/**
 * Resolves when all journals below a folder are completely shipped to Postgres; nothing may be written meanwhile.
 * Throws at the timeout.
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
  const segments = listSegments(journal);
  const last = segments.at(-1);
  if (last === undefined) return true;
  const before = segments.at(-2);
  const path = segmentPath(journal, last);
  const { size } = await stat(path);
  const isEmpty = size === decodeSegmentHeader(await readFile(path))?.bytes;
  const { rows } = await postgres.query<{ segment: string; offset: string }>(
    'SELECT segment, "offset" FROM journal_position WHERE journal = $1',
    [`${identity.table}/${identity.id}`],
  );
  const [position] = rows;
  // A journal without rows has only headers, and no position.
  if (!position) return isEmpty && (before === undefined || (await isCut(segmentPath(journal, before))));
  if (Number(position.segment) === last && Number(position.offset) === size) return true;
  // A completely shipped segment is cut to its header, and a new one begins.
  return isEmpty && before === Number(position.segment) && (await isCut(segmentPath(journal, before)));
}

async function isCut(path: string): Promise<boolean> {
  const bytes = await readFile(path);
  return bytes.length === decodeSegmentHeader(bytes)?.bytes;
}
