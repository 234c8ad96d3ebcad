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

/** process: survives the end of the process. disk: survives the end of the machine. */
export type Durability = 'process' | 'disk';

/** What a journal holds: rows of one table. Defined by the module that writes the table; the journal knows no table. */
export interface JournalTable<Row> {
  readonly table: string;
  /** The first column is the primary key, a UUIDv7; the table is partitioned by day on it. */
  readonly columns: readonly string[];
  /**
   * Writes one field for each column, in their order, by the column's type. May keep its output for the next row, so a
   * table's description belongs to one journal.
   */
  encode(row: Row, into: CopyRow): void;
  /**
   * A column that, when it is not null, marks a row as provisional (such as error_code): a row without it replaces
   * one with it. Without this, the first row of a key stays.
   */
  readonly provisional?: string;
}

export interface JournalOptions {
  /** Owned by this journal alone; made when absent. */
  readonly directory: string;
  /** Bytes on disk that may wait to be shipped; more are refused with RESOURCE_EXHAUSTED `log_full`. */
  readonly maxBytes: number;
  readonly segmentBytes: number;
  /** How often a segment whose rows are all shipped is replaced by an empty one; default 30 s. */
  readonly renewMs?: number;
}

const RENEW_MS = 30_000;

export const JOURNAL_DEFAULTS = { maxBytes: 4 * 1024 ** 3, segmentBytes: 32 * 1024 ** 2 } as const;
/** Bytes that may wait for a write; reached only while the disk is too slow. */
const MAX_PENDING_BYTES = 64 * 1024 ** 2;

/**
 * An append-only file of rows, written before a reply and shipped behind it. All that is appended before the event loop
 * comes to its next event, such as by the answers of a batch, goes out in one write; rows that want `disk` share one
 * fdatasync, and while it runs the next group gathers. Closing writes the rest.
 */
export interface Journal<Row> extends AsyncDisposable {
  /** Names this journal in `journal_position`; a folder that was wiped gets another name. */
  readonly name: string;
  readonly directory: string;
  readonly table: JournalTable<Row>;
  /** The table's. */
  readonly provisional: string | undefined;
  /**
   * Resolves when the row is as durable as asked for; rows of one group share the promise. Throws or rejects with
   * RESOURCE_EXHAUSTED `log_full` when the bound or the disk is full: then the row is not in the journal.
   */
  append(row: Row, durability: Durability): Promise<void>;
  /** True when `append` would refuse; asked before work is begun. */
  full(): boolean;
  /** After the last row that has been written. */
  written(): JournalPosition;
  /** Bytes on disk. */
  bytes(): number;
  /** Bytes on disk that wait to be shipped, as a share of the bound. */
  fullness(): number;
  onWritten(listener: () => void): () => void;
  /**
   * What lies before a position has been shipped, and waits no more. Deletes the segments that lie wholly before it; they are
   * gone by the time it is closed. Does nothing from then on: the folder may have another owner.
   */
  release(before: JournalPosition): void;
}

interface Group {
  readonly written: PromiseWithResolvers<void>;
  readonly synced: PromiseWithResolvers<void> | undefined;
}

/** Opens the journal of a folder: cuts a torn tail, then begins a new segment. Throws when the folder is in use. */
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
  /** The part of the total that is shipped but lies in a segment that is still needed. */
  #shipped = 0;
  #segment: number;
  #offset = 0;
  /** Where the header of the current segment ends: nothing else is in it yet. */
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
    // Numbers are never used twice: such a file was left behind by an attempt when the disk was full.
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

  /** Rows that are in Postgres do not stay on the node until their segment is full: who is forgotten there is gone here, too. */
  #renew(): void {
    const { segment, offset } = this.#released;
    const isShipped = segment === this.#segment && offset >= this.#offset;
    if (!isShipped || this.#offset === this.#headerEnd || this.#group || this.#syncing || this.#closing)
      return;
    const header = this.#headerEnd;
    try {
      this.#rotate();
      // Its number stays until rows of the next one are shipped: a gap in the numbers says that a database was set back.
      truncateSync(segmentPath(this.directory, segment), header);
    } catch (error) {
      this.#log.warn({ error }, 'a segment of the journal could not be renewed');
      return;
    }
    this.#total -= (this.#sizes.get(segment) ?? header) - header;
    this.#sizes.set(segment, header);
    this.#shipped = header;
  }

  /** In the background: the system takes milliseconds to free so many pages. What stays is shipped already. */
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

  /** A write that failed leaves nothing behind: a partial write is cut off, or left in a segment of its own. */
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

/** A promise whose rejection nobody may be waiting for. */
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
    'the prediction log is full and waits to be shipped; try again later',
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
