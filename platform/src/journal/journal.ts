import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from '../log.ts';
import { CopyRow } from '../postgres/copy-row.ts';
import { recoverDirectory } from './recover.ts';
import {
  BLOCK_HEADER_BYTES,
  encodeSegmentHeader,
  type JournalPosition,
  RECORD_HEADER_BYTES,
  segmentPath,
} from './segment.ts';

/** process: the row survives a crash of the process. disk: it also survives a crash of the machine. */
export type Durability = 'process' | 'disk';

/**
 * What a journal contains: rows of one table. Defined by the module that writes the table; the journal knows no
 * tables.
 */
export interface JournalTable<Row> {
  readonly table: string;
  /** The first column is the primary key, a UUIDv7; the table is partitioned by day on it. */
  readonly columns: readonly string[];
  /**
   * Writes one field per column, in order, with the column's type. It may cache its output for the next row, so each
   * journal needs its own description.
   */
  encode(row: Row, into: CopyRow): void;
  /**
   * A column that marks a row as provisional when it is not null (such as error_code): a row without the mark
   * replaces one with it. Without this setting, the first row of a key stays.
   */
  readonly provisional?: string;
}

export interface JournalOptions {
  /** Used only by this journal; created if it does not exist. */
  readonly directory: string;
  /**
   * Limit for the bytes on disk that wait to be shipped; beyond it rows are rejected with RESOURCE_EXHAUSTED
   * `log_full`.
   */
  readonly maxBytes: number;
  readonly segmentBytes: number;
  /** Interval at which a segment whose rows are all shipped is replaced by an empty one; default 30 s. */
  readonly renewMs?: number;
}

const RENEW_MS = 30_000;

export const JOURNAL_DEFAULTS = { maxBytes: 4 * 1024 ** 3, segmentBytes: 32 * 1024 ** 2 } as const;
/** Limit for the bytes that wait to be written; reached only while the disk is too slow. */
const MAX_PENDING_BYTES = 64 * 1024 ** 2;

/**
 * An append-only file of rows, written before a reply and shipped after it. All rows that are appended before the
 * event loop reaches its next event, such as by the answers of a batch, go into one write. Rows with `disk`
 * durability share one fdatasync; while it runs, the next group gathers. Closing writes the rest.
 */
export interface Journal<Row> extends AsyncDisposable {
  /** Identifies this journal in `journal_position`; a folder that was emptied gets another name. */
  readonly name: string;
  readonly directory: string;
  readonly table: JournalTable<Row>;
  /** From the table description. */
  readonly provisional: string | undefined;
  /**
   * Resolves when the row is as durable as requested; rows of one group share the promise. Throws or rejects with
   * RESOURCE_EXHAUSTED `log_full` when the limit is reached or the disk is full: then the row is not in the journal.
   */
  append(row: Row, durability: Durability): Promise<void>;
  /** True when `append` would reject; checked before work starts. */
  full(): boolean;
  /** The position after the last written row. */
  written(): JournalPosition;
  /** Bytes on disk. */
  bytes(): number;
  /** Bytes on disk that wait to be shipped, as a share of the limit. */
  fullness(): number;
  onWritten(listener: () => void): () => void;
  /**
   * Everything before this position has been shipped. Deletes the segments that are completely before it; the
   * deletions are finished before the journal is closed. Has no effect after closing, because the folder may have
   * another owner.
   */
  release(before: JournalPosition): void;
}

interface Group {
  readonly written: PromiseWithResolvers<void>;
  readonly synced: PromiseWithResolvers<void> | undefined;
}

/** Opens the journal of a folder: cuts a torn tail, then starts a new segment. Throws when the folder is in use. */
export function openJournal<Row>(table: JournalTable<Row>, options: JournalOptions, log: Log): Journal<Row> {
  return new SegmentedJournal(table, options, log);
}

class SegmentedJournal<Row> implements Journal<Row> {
  readonly name: string;
  readonly directory: string;
  readonly table: JournalTable<Row>;
  readonly provisional: string | undefined;
  readonly #options: JournalOptions;
  readonly #log: Log;
  readonly #buffer = new CopyRow();
  readonly #sizes = new Map<number, number>();
  readonly #listeners = new Set<() => void>();
  readonly #unlock: () => void;
  #total = 0;
  /** The part of the total that is already shipped but in a segment that is still needed. */
  #shipped = 0;
  #segment: number;
  #offset = 0;
  /** End of the current segment's header; a segment that ends there is empty. */
  #headerEnd = 0;
  /** The end of the last shipment. */
  #released: JournalPosition = { segment: 0, offset: 0 };
  readonly #renewing: NodeJS.Timeout;
  #file: number;
  #group: { written: PromiseWithResolvers<void>; synced: PromiseWithResolvers<void> | undefined } | undefined;
  #syncing: Promise<void> | undefined;
  #removals = Promise.resolve();
  #closing: Promise<void> | undefined;
  #flush = () => this.#write();

  constructor(table: JournalTable<Row>, options: JournalOptions, log: Log) {
    const recovered = recoverDirectory(options.directory, table.table, log);
    this.table = table;
    this.provisional = table.provisional;
    this.directory = options.directory;
    this.name = `${table.table}/${recovered.id}`;
    this.#unlock = recovered.unlock;
    this.#options = options;
    this.#log = log;
    for (const segment of recovered.segments) {
      const size = statSync(segmentPath(options.directory, segment)).size;
      this.#sizes.set(segment, size);
      this.#total += size;
    }
    this.#segment = recovered.next;
    this.#file = this.#begin(this.#segment);
    this.#renewing = setInterval(() => this.#renew(), options.renewMs ?? RENEW_MS);
    this.#renewing.unref();
  }

  append(row: Row, durability: Durability): Promise<void> {
    if (this.#closing)
      throw new HotloopError('UNAVAILABLE', 'the prediction log is closed', { reason: 'shutting_down' });
    if (this.full()) throw fullError();
    const buffer = this.#buffer;
    const start = buffer.length;
    try {
      if (start === 0) buffer.reserve(BLOCK_HEADER_BYTES);
      const header = buffer.reserve(RECORD_HEADER_BYTES);
      buffer.begin();
      this.table.encode(row, buffer);
      buffer.end(this.table.columns.length);
      buffer.patchUint32LE(buffer.length - header - RECORD_HEADER_BYTES, header);
    } catch (error) {
      buffer.reset(start);
      throw error;
    }
    if (!this.#group) {
      this.#group = { written: settled(), synced: undefined };
      if (!this.#syncing) process.nextTick(this.#flush);
    }
    if (durability === 'process') return this.#group.written.promise;
    this.#group.synced ??= settled();
    return this.#group.synced.promise;
  }

  full(): boolean {
    const pending = this.#buffer.length;
    return this.#waiting() + pending >= this.#options.maxBytes || pending >= MAX_PENDING_BYTES;
  }

  written(): JournalPosition {
    return { segment: this.#segment, offset: this.#offset };
  }

  bytes(): number {
    return this.#total;
  }

  fullness(): number {
    return this.#waiting() / this.#options.maxBytes;
  }

  onWritten(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  release(before: JournalPosition): void {
    if (this.#closing) return;
    this.#released = before;
    for (const [segment, size] of this.#sizes) {
      if (segment >= before.segment || segment === this.#segment) continue;
      this.#removals = this.#removals.then(() => this.#remove(segment));
      this.#sizes.delete(segment);
      this.#total -= size;
    }
    this.#shipped = Math.min(before.offset, this.#sizes.get(before.segment) ?? 0);
  }

  #waiting(): number {
    return this.#total - this.#shipped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#renewing);
    while (this.#group || this.#syncing) {
      await this.#syncing;
      this.#write();
    }
    await this.#removals;
    closeSync(this.#file);
    this.#unlock();
  }

  #begin(segment: number): number {
    const { table, columns } = this.table;
    const header = encodeSegmentHeader({ table, columns: [...columns] });
    // Numbers are never reused; a file with this number is left from an attempt when the disk was full.
    const file = openSync(segmentPath(this.directory, segment), 'w', 0o640);
    try {
      writeAll(file, header, 0);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    this.#offset = header.length;
    this.#headerEnd = header.length;
    this.#sizes.set(segment, header.length);
    this.#total += header.length;
    return file;
  }

  #rotate(): void {
    const file = this.#file;
    this.#file = this.#begin(this.#segment + 1);
    this.#segment++;
    closeSync(file);
  }

  /**
   * Starts a new segment when all rows of the current one are shipped. Otherwise shipped rows would stay on the node
   * until their segment is full, also after their entity was erased in Postgres.
   */
  #renew(): void {
    const { segment, offset } = this.#released;
    const isShipped = segment === this.#segment && offset >= this.#offset;
    if (!isShipped || this.#offset === this.#headerEnd || this.#group || this.#syncing || this.#closing)
      return;
    const header = this.#headerEnd;
    try {
      this.#rotate();
      // The empty file keeps its number until rows of the next segment are shipped: a gap in the numbers shows that
      // the database was restored to an earlier state.
      truncateSync(segmentPath(this.directory, segment), header);
    } catch (error) {
      this.#log.warn({ error }, 'a segment of the journal could not be renewed');
      return;
    }
    this.#total -= (this.#sizes.get(segment) ?? header) - header;
    this.#sizes.set(segment, header);
    this.#shipped = header;
  }

  /**
   * In the background, because freeing many pages takes the system milliseconds. If it fails, only shipped data
   * stays.
   */
  async #remove(segment: number): Promise<void> {
    try {
      await rm(segmentPath(this.directory, segment), { force: true });
    } catch (error) {
      this.#log.warn({ error, segment }, 'a shipped segment of the journal could not be deleted');
    }
  }

  /** Writes the gathered rows. Never throws: the promise of each row carries its result. */
  #write(): void {
    const group = this.#group;
    if (!group || this.#syncing) return;
    this.#group = undefined;
    this.#buffer.patchUint32LE(this.#buffer.length - BLOCK_HEADER_BYTES, 0);
    this.#buffer.patchUint32LE(crc32(this.#buffer.bytes(BLOCK_HEADER_BYTES)), 4);
    const bytes = this.#buffer.bytes();
    try {
      if (this.#offset + bytes.length > this.#options.segmentBytes && this.#offset > 4096) this.#rotate();
      writeAll(this.#file, bytes, this.#offset);
    } catch (cause) {
      this.#fail(group, cause);
      return;
    } finally {
      this.#buffer.reset();
    }
    this.#offset += bytes.length;
    this.#total += bytes.length;
    this.#sizes.set(this.#segment, this.#offset);
    group.written.resolve();
    if (group.synced) this.#sync(group.synced);
    for (const listener of this.#listeners) listener();
  }

  #sync(synced: PromiseWithResolvers<void>): void {
    const done = settled();
    this.#syncing = done.promise;
    fdatasync(this.#file, (error) => {
      if (error)
        synced.reject(
          new HotloopError('UNAVAILABLE', 'the prediction log could not be made durable', {
            reason: 'log_sync_failed',
            cause: error,
          }),
        );
      else synced.resolve();
      this.#syncing = undefined;
      done.resolve();
      this.#write();
    });
  }

  /**
   * A failed write leaves nothing behind: partial data is cut off, or left at the end of a segment that is no longer
   * used.
   */
  #fail(group: Group, cause: unknown): void {
    this.#log.error({ error: cause }, 'the journal could not be written');
    const error = isFull(cause)
      ? fullError(cause)
      : new HotloopError('UNAVAILABLE', 'the prediction log could not be written', {
          reason: 'log_failed',
          cause,
        });
    group.written.reject(error);
    group.synced?.reject(error);
    try {
      ftruncateSync(this.#file, this.#offset);
      fsyncSync(this.#file);
    } catch (second) {
      this.#log.error({ error: second }, 'the journal could not be cut back after a failed write');
    }
  }
}

/** A promise whose rejection may have no handler. */
function settled(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  resolvers.promise.catch(() => undefined);
  return resolvers;
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, position + at);
}

function fullError(cause?: unknown): HotloopError {
  return new HotloopError(
    'RESOURCE_EXHAUSTED',
    'the prediction log is full until it has been shipped; try again later',
    {
      reason: 'log_full',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

function isFull(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG';
}
