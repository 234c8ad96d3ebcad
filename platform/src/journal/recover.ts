import { randomUUID } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import type { Log } from '../log.ts';
import { decodeSegmentHeader, listSegments, scanBlocks, segmentPath } from './segment.ts';

export interface RecoveredDirectory {
  /** Generated once per folder, so that a position in Postgres is never applied to a folder that was emptied. */
  readonly id: string;
  readonly segments: readonly number[];
  /** Number of the next segment. */
  readonly next: number;
  readonly unlock: () => void;
}

const identitySchema = z.object({ id: z.string(), table: z.string(), next: z.int().min(1).default(1) });
const CHUNK_BYTES = 4 * 1024 * 1024;

/**
 * Creates or reads a journal's folder, claims it, and cuts a block that was only partially written when the process
 * ended.
 */
export function recoverDirectory(directory: string, table: string, log: Log): RecoveredDirectory {
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  const unlock = claim(join(directory, 'in-use'));
  try {
    const identity = identify(join(directory, 'journal.json'), table);
    const listed = listSegments(directory);
    // Numbers are never reused, even when all segments were shipped and deleted before this start.
    const next = Math.max(identity.next, (listed.at(-1) ?? 0) + 1);
    writeFileSync(join(directory, 'journal.json'), `${JSON.stringify({ ...identity, next: next + 1 })}\n`);
    const segments: number[] = [];
    for (const segment of listed) {
      const path = segmentPath(directory, segment);
      const holds = cutTornTail(path, log.child({ segment }));
      // The oldest segment is kept even when its rows are shipped and cut, because it shows how far back the journal
      // reaches.
      if (holds === 'rows' || (holds === 'header' && segment === listed[0])) segments.push(segment);
      else rmSync(path, { force: true });
    }
    return { id: identity.id, segments, next, unlock };
  } catch (error) {
    unlock();
    throw error;
  }
}

function identify(path: string, table: string): z.output<typeof identitySchema> {
  const text = readIfThere(path);
  if (text === undefined) return { id: randomUUID(), table, next: 1 };
  const identity = identitySchema.parse(JSON.parse(text));
  if (identity.table !== table)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `the journal folder belongs to ${identity.table}, not ${table}`,
    );
  return identity;
}

/** Returns what the segment contains afterwards. */
function cutTornTail(path: string, log: Log): 'rows' | 'header' | 'nothing' {
  const size = statSync(path).size;
  const file = openSync(path, 'r+');
  try {
    const header = decodeSegmentHeader(readAt(file, 0, Math.min(size, CHUNK_BYTES)));
    if (!header) {
      log.warn({ bytes: size }, 'a segment without a valid header was deleted');
      return 'nothing';
    }
    let at = header.bytes;
    let want = CHUNK_BYTES;
    while (at < size) {
      const scan = scanBlocks(readAt(file, at, Math.min(size - at, want)));
      at += scan.end;
      want = Math.max(CHUNK_BYTES, scan.needed);
      const isAtEnd = at + want >= size && scan.end === 0;
      if (scan.rest === 'damaged' || (scan.rest === 'partial' && isAtEnd)) break;
    }
    if (at < size) {
      log.warn({ cutBytes: size - at }, 'a torn tail was cut from the journal');
      ftruncateSync(file, at);
    }
    return at > header.bytes ? 'rows' : 'header';
  } finally {
    closeSync(file);
  }
}

function readAt(file: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  const read = readSync(file, bytes, 0, length, position);
  return bytes.subarray(0, read);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Only one process at a time: two writers would cut each other's tails. The claim of a dead process is taken over. */
function claim(path: string): () => void {
  const self = identityOf(process.pid);
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      writeFileSync(path, self, { flag: 'wx' });
      return () => rmSync(path, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const owner = readIfThere(path) ?? '';
    const pid = Number(owner.split(' ')[0]);
    if (isAlive(pid) && identityOf(pid) === owner) break;
    rmSync(path, { force: true });
  }
  throw new HotloopError('FAILED_PRECONDITION', 'the journal folder is in use; give each service its own', {
    reason: 'journal_in_use',
  });
}

/**
 * A process id may be reused after a restart, in a container even the same one; together with its start time it is
 * unique.
 */
function identityOf(pid: number): string {
  const stat = readIfThere(`/proc/${pid}/stat`) ?? '';
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  return `${pid} ${started}`;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
