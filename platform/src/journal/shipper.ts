import { setTimeout as delay } from 'node:timers/promises';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Pool, PoolClient } from 'pg';
import type { Log } from '../log.ts';
import { within } from '../within.ts';
import { ChunkReader, type JournalChunk } from './reader.ts';
import { type JournalPosition, listSegments } from './segment.ts';
import { shipChunk } from './ship-chunk.ts';

export interface ShipperOptions {
  /**
   * How long rows gather between shipments, so that few transactions carry many rows. This is the usual lag of the
   * log.
   */
  readonly gatherMs: number;
  readonly chunkBytes: number;
  readonly chunkRows: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Time limit of a shipment; after it, its connection is closed and the shipment is retried. */
  readonly timeoutMs: number;
}

export const SHIPPER_DEFAULTS: ShipperOptions = {
  gatherMs: 250,
  chunkBytes: 8 * 1024 ** 2,
  chunkRows: 20_000,
  backoffMs: 100,
  maxBackoffMs: 5_000,
  timeoutMs: 30_000,
};

/** The part of a journal that a shipper needs; the journal may belong to another thread. */
export interface JournalSource {
  readonly name: string;
  readonly directory: string;
  /** See JournalTable. */
  readonly provisional: string | undefined;
  written(): JournalPosition;
  fullness(): number;
  /** Resolves once a later position than `seen` is written; may also resolve without one. */
  changed(seen: JournalPosition): Promise<void>;
  release(before: JournalPosition): void;
}

/** Rows shipped since the start, rows that Postgres rejected and that were left out, bytes lost to a damaged disk. */
export interface ShipperCounts {
  readonly shipped: number;
  readonly refused: number;
  readonly lostBytes: number;
}

/** Ships a journal's rows to Postgres after the replies, each key once. */
export interface Shipper extends AsyncDisposable {
  /** Resolves when everything written before the call is in Postgres. Rejects DEADLINE_EXCEEDED at the timeout. */
  flush(deadlineMs: number): Promise<void>;
  counts(): ShipperCounts;
}

/**
 * Starts shipping in this thread. Owns neither the journal nor the pool, so close it before them. While Postgres
 * cannot be reached it backs off, and the journal grows to its limit; nothing is lost. Closing stops after the
 * current shipment; the rest is shipped at the next start.
 */
export function startShipper(
  journal: JournalSource,
  pool: Pool,
  log: Log,
  options: Partial<ShipperOptions> = {},
): Shipper {
  return new JournalShipper(journal, pool, log, { ...SHIPPER_DEFAULTS, ...options });
}

interface Waiter {
  readonly until: JournalPosition;
  readonly resolve: () => void;
}

class JournalShipper implements Shipper {
  readonly #journal: JournalSource;
  readonly #pool: Pool;
  readonly #log: Log;
  readonly #options: ShipperOptions;
  readonly #stop = new AbortController();
  readonly #knownDays = new Set<number>();
  readonly #done: Promise<void>;
  #reader: ChunkReader;
  #waiters: Waiter[] = [];
  #wake = Promise.withResolvers<void>();
  #hurry = Promise.withResolvers<void>();
  #shipped = 0;
  #refused = 0;
  #lostBytes = 0;
  /** The segment of a stored position that the journal no longer reaches back to; reported once. */
  #gapAt = 0;

  constructor(journal: JournalSource, pool: Pool, log: Log, options: ShipperOptions) {
    this.#journal = journal;
    this.#pool = pool;
    this.#log = log;
    this.#options = options;
    this.#reader = this.#openReader();
    this.#done = this.#run();
  }

  async flush(deadlineMs: number): Promise<void> {
    const reached = Promise.withResolvers<void>();
    const waiter: Waiter = { until: this.#journal.written(), resolve: reached.resolve };
    this.#waiters.push(waiter);
    this.#wake.resolve();
    this.#hurry.resolve();
    const timer = setTimeout(() => {
      reached.reject(
        new HotloopError('DEADLINE_EXCEEDED', 'the prediction log could not be shipped in time', {
          reason: 'log_behind',
        }),
      );
    }, deadlineMs);
    try {
      await reached.promise;
    } finally {
      clearTimeout(timer);
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      if (this.#waiters.length === 0) this.#hurry = Promise.withResolvers();
    }
  }

  counts() {
    return { shipped: this.#shipped, refused: this.#refused, lostBytes: this.#lostBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake.resolve();
    this.#hurry.resolve();
    await this.#done;
  }

  async #run(): Promise<void> {
    let position: JournalPosition | undefined;
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      this.#wake = Promise.withResolvers();
      const until = this.#journal.written();
      try {
        position ??= await this.#begin();
        position = await this.#shipAll(position, until);
        failures = 0;
      } catch (error) {
        failures++;
        // Read the position again: the next connection may reach another Postgres, or a restored one.
        position = undefined;
        // The abandoned connection may still be sending rows from the reader's memory.
        this.#reader[Symbol.dispose]();
        this.#reader = this.#openReader();
        if (failures === 1 || failures % 20 === 0)
          this.#log.warn({ error, failures }, 'rows of the journal could not be shipped; trying again');
      }
      if (failures > 0) await this.#pause(this.#backoff(failures));
      else {
        await Promise.race([this.#journal.changed(until), this.#wake.promise]);
        await this.#pause(this.#options.gatherMs);
      }
    }
    this.#reader[Symbol.dispose]();
  }

  #openReader(): ChunkReader {
    const { chunkBytes, chunkRows } = this.#options;
    return new ChunkReader(this.#journal.directory, { bytes: chunkBytes, rows: chunkRows });
  }

  #backoff(failures: number): number {
    const { backoffMs, maxBackoffMs } = this.#options;
    const bound = Math.min(maxBackoffMs, backoffMs * 2 ** Math.min(failures - 1, 20));
    return bound / 2 + (Math.random() * bound) / 2;
  }

  /** Waits, except while there is a pending flush. */
  async #pause(ms: number): Promise<void> {
    if (this.#stop.signal.aborted) return;
    // One flush may span several pauses, but wakes only the first of them.
    if (this.#waiters.length === 0) {
      const hurry = this.#hurry.promise;
      const ended = new AbortController();
      await Promise.race([delay(ms, undefined, { signal: ended.signal }).catch(() => undefined), hurry]);
      ended.abort();
      this.#hurry = Promise.withResolvers();
    }
    if (this.#waiters.length > 0) await delay(Math.min(ms, 20));
  }

  /** Ships the rows written until now. Rows that arrive meanwhile are gathered for the next shipment. */
  async #shipAll(from: JournalPosition, until: JournalPosition): Promise<JournalPosition> {
    let position = from;
    for (;;) {
      const chunk = this.#stop.signal.aborted ? undefined : this.#reader.next(position, until);
      if (!chunk) {
        if (!this.#stop.signal.aborted) this.#reached(until);
        return position;
      }
      await this.#shipChunk(chunk, position);
      position = chunk.next;
      this.#journal.release(position);
      this.#reached(position);
    }
  }

  #reached(position: JournalPosition): void {
    for (const waiter of this.#waiters) {
      const { segment, offset } = waiter.until;
      if (position.segment > segment || (position.segment === segment && position.offset >= offset))
        waiter.resolve();
    }
  }

  async #shipChunk(chunk: JournalChunk, from: JournalPosition): Promise<void> {
    if (chunk.lostBytes > 0) {
      this.#lostBytes += chunk.lostBytes;
      const fields = { lostBytes: chunk.lostBytes, segment: chunk.next.segment };
      this.#log.error(fields, 'a damaged part of the journal was skipped');
    }
    await this.#withClient(async (client) => {
      for await (const { shipped, refused } of shipChunk(
        client,
        this.#journal,
        chunk,
        from,
        this.#knownDays,
      )) {
        this.#shipped += shipped;
        if (!refused) continue;
        this.#refused++;
        this.#log.error(
          { error: refused.error, row: refused.key },
          'Postgres rejected a row; it was left out',
        );
      }
    });
  }

  /**
   * The position from which shipping continues, as stored in Postgres: the answer to the last shipment may have been
   * lost.
   */
  async #begin(): Promise<JournalPosition> {
    const position = await this.#storedPosition();
    this.#journal.release(position);
    const [oldest = 0] = listSegments(this.#journal.directory);
    const { segment } = position;
    // Without a stored position, the database may be new as well as restored.
    if (segment > 0 && oldest > segment && segment !== this.#gapAt) {
      this.#gapAt = segment;
      this.#log.error(
        { segment, oldest },
        'the journal no longer reaches back to where Postgres has it; rows in between may be missing there',
      );
    }
    return position;
  }

  async #storedPosition(): Promise<JournalPosition> {
    return this.#withClient(async (client) => {
      const result = await client.query<{ segment: string; offset: string }>(
        'SELECT segment, "offset" FROM journal_position WHERE journal = $1',
        [this.#journal.name],
      );
      const row = result.rows[0];
      return row ? { segment: Number(row.segment), offset: Number(row.offset) } : { segment: 0, offset: 0 };
    });
  }

  /**
   * A connection that failed or took too long is closed instead of being returned to the pool, because its state is
   * unknown.
   */
  async #withClient<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let failed = true;
    try {
      const result = await within(use(client), this.#options.timeoutMs, () => {
        throw new HotloopError('DEADLINE_EXCEEDED', 'Postgres took too long');
      });
      failed = false;
      return result;
    } finally {
      client.release(failed);
    }
  }
}
