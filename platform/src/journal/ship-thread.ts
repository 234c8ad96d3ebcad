import { Worker } from 'node:worker_threads';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Log } from '../log.ts';
import type { Journal } from './journal.ts';
import type { JournalPosition } from './segment.ts';
import { type ShipOrder, type ShipReport, type ShipThreadData, ShipWords } from './ship-messages.ts';
import type { Shipper, ShipperCounts, ShipperOptions } from './shipper.ts';

const MAIN = new URL('./ship-thread-main.ts', import.meta.url);
const WAKE_MS = 1_000;
const RESTART_MS = 1_000;
const MAX_RESTART_MS = 30_000;
/** Time limit for the current shipment when closing; the rest is shipped at the next start. */
const CLOSE_MS = 35_000;

export interface ShipThreadOptions {
  readonly databaseUrl: string;
  /** Shown by pg_stat_activity. */
  readonly application: string;
  readonly shipper?: Partial<ShipperOptions> | undefined;
  /** Maximum sleep of the thread when nothing wakes it; default one second. */
  readonly wakeMs?: number;
}

export interface ThreadShipper extends Shipper {
  /** Age of the oldest row that is not yet in Postgres, to within a tenth of a second; 0 when there is none. */
  lagMs(): number;
}

/** A position, and the time when the journal reached it. */
interface Mark {
  readonly position: JournalPosition;
  readonly at: number;
}

/** Minimum distance between marks. At most an hour of them is kept, because the oldest one is what counts. */
const MARK_MS = 100;
const MAX_MARKS = 36_000;

/**
 * Ships a journal in a separate thread with its own connection, so that neither reading nor sending delays an answer.
 * Close it before the journal. A thread that ends by itself is restarted.
 */
export function startShipThread<Row>(
  journal: Journal<Row>,
  options: ShipThreadOptions,
  log: Log,
): ThreadShipper {
  return new ShipThread(journal, options, log);
}

interface Flush {
  readonly deadlineMs: number;
  readonly resolve: () => void;
}

class ShipThread<Row> implements ThreadShipper {
  readonly #journal: Journal<Row>;
  readonly #log: Log;
  readonly #data: ShipThreadData;
  readonly #words: ShipWords;
  readonly #unlisten: () => void;
  readonly #flushes = new Map<number, Flush>();
  readonly #marks: Mark[] = [];
  #worker: Worker;
  #ended: Promise<void>;
  /** Consecutive threads that ended without having shipped anything. */
  #failures = 0;
  #nextFlush = 1;
  #restart: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  /** Counts of all threads that have ended. */
  #before: ShipperCounts = { shipped: 0, refused: 0, lostBytes: 0 };
  #counts: ShipperCounts = this.#before;

  constructor(journal: Journal<Row>, options: ShipThreadOptions, log: Log) {
    const words = new SharedArrayBuffer(ShipWords.BYTES);
    this.#journal = journal;
    this.#log = log;
    this.#words = new ShipWords(words);
    this.#data = {
      name: journal.name,
      directory: journal.directory,
      provisional: journal.provisional,
      words,
      databaseUrl: options.databaseUrl,
      application: options.application,
      options: options.shipper ?? {},
      wakeMs: options.wakeMs ?? WAKE_MS,
    };
    this.#tell();
    this.#unlisten = journal.onWritten(() => {
      this.#mark();
      this.#tell();
    });
    ({ worker: this.#worker, ended: this.#ended } = this.#start());
  }

  async flush(deadlineMs: number): Promise<void> {
    const id = this.#nextFlush++;
    const flushed = Promise.withResolvers<void>();
    this.#flushes.set(id, { deadlineMs, resolve: flushed.resolve });
    this.#order({ kind: 'flush', id, deadlineMs });
    const timer = setTimeout(() => {
      flushed.reject(
        new HotloopError('DEADLINE_EXCEEDED', 'the prediction log could not be shipped in time', {
          reason: 'log_behind',
        }),
      );
    }, deadlineMs);
    try {
      await flushed.promise;
    } finally {
      clearTimeout(timer);
      this.#flushes.delete(id);
    }
  }

  counts(): ShipperCounts {
    return added(this.#before, this.#counts);
  }

  lagMs(): number {
    const oldest = this.#marks[0];
    return oldest === undefined ? 0 : performance.now() - oldest.at;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#unlisten();
    clearTimeout(this.#restart);
    this.#order({ kind: 'close' });
    const timer = setTimeout(() => void this.#worker.terminate(), CLOSE_MS);
    await this.#ended;
    clearTimeout(timer);
  }

  #mark(): void {
    const now = performance.now();
    const last = this.#marks.at(-1);
    if (this.#marks.length >= MAX_MARKS || (last !== undefined && now - last.at < MARK_MS)) return;
    this.#marks.push({ position: this.#journal.written(), at: now });
  }

  #tell(): void {
    this.#words.tell(this.#journal.written(), this.#journal.fullness());
  }

  #order(order: ShipOrder): void {
    this.#worker.postMessage(order);
  }

  #start(): { worker: Worker; ended: Promise<void> } {
    const worker = new Worker(MAIN, { name: 'shipper', workerData: this.#data });
    worker.on('message', (report: ShipReport) => this.#receive(report));
    worker.on('error', (error) => this.#log.error({ error }, 'the thread that ships the log failed'));
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        resolve();
        if (!this.#closing) this.#startAgain();
      });
    });
    return { worker, ended };
  }

  #startAgain(): void {
    this.#before = this.counts();
    this.#counts = { shipped: 0, refused: 0, lostBytes: 0 };
    const wait = Math.min(MAX_RESTART_MS, RESTART_MS * 2 ** this.#failures++);
    this.#restart = setTimeout(() => {
      ({ worker: this.#worker, ended: this.#ended } = this.#start());
      for (const [id, { deadlineMs }] of this.#flushes) this.#order({ kind: 'flush', id, deadlineMs });
    }, wait);
  }

  #receive(report: ShipReport): void {
    switch (report.kind) {
      case 'shipped':
        if (report.counts.shipped + report.counts.refused > 0) this.#failures = 0;
        this.#counts = report.counts;
        this.#journal.release(report.before);
        while (this.#marks[0] !== undefined && isReached(this.#marks[0].position, report.before))
          this.#marks.shift();
        this.#tell();
        break;
      case 'flushed':
        this.#counts = report.counts;
        this.#flushes.get(report.id)?.resolve();
        break;
      case 'log': {
        const { level, fields, error, text } = report;
        this.#log[level](error ? { ...fields, error: Object.assign(new Error(), error) } : fields, text);
      }
    }
  }
}

function isReached(position: JournalPosition, shipped: JournalPosition): boolean {
  return (
    position.segment < shipped.segment ||
    (position.segment === shipped.segment && position.offset <= shipped.offset)
  );
}

function added(one: ShipperCounts, other: ShipperCounts): ShipperCounts {
  return {
    shipped: one.shipped + other.shipped,
    refused: one.refused + other.refused,
    lostBytes: one.lostBytes + other.lostBytes,
  };
}
