import type { JournalPosition } from './segment.ts';
import type { ShipperCounts, ShipperOptions } from './shipper.ts';

/** Start parameters of a shipping thread. */
export interface ShipThreadData {
  readonly name: string;
  readonly directory: string;
  readonly provisional: string | undefined;
  /** See ShipWords. */
  readonly words: SharedArrayBuffer;
  readonly databaseUrl: string;
  readonly application: string;
  readonly options: Partial<ShipperOptions>;
  /** Maximum wait of the thread before it checks without being woken. */
  readonly wakeMs: number;
}

/** Messages to the thread. */
export type ShipOrder =
  /** Ship all rows written so far without pauses, and answer; the caller waits no longer than this. */
  | { readonly kind: 'flush'; readonly id: number; readonly deadlineMs: number }
  /** End after the current shipment. */
  | { readonly kind: 'close' };

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error';

/** Messages from the thread. */
export type ShipReport =
  | { readonly kind: 'shipped'; readonly before: JournalPosition; readonly counts: ShipperCounts }
  | { readonly kind: 'flushed'; readonly id: number; readonly counts: ShipperCounts }
  | {
      readonly kind: 'log';
      readonly level: LogLevelName;
      readonly fields: Readonly<Record<string, unknown>>;
      readonly error:
        | { readonly message: string; readonly stack?: string; readonly code?: string }
        | undefined;
      readonly text: string;
    };

const POSITION = 0;
const FULLNESS = 1;
/** Index of the position at which the shipping thread waits, or has last waited. */
const SLEEPS = 2;
const MILLION = 1_000_000;

/**
 * Shared memory in which the writer of a journal publishes its position to the shipping thread; one store per update.
 */
export class ShipWords {
  static readonly BYTES = 24;
  readonly #words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer);
  }

  tell(written: JournalPosition, fullness: number): void {
    Atomics.store(this.#words, FULLNESS, BigInt(Math.round(fullness * MILLION)));
    const word = wordOf(written);
    const before = Atomics.exchange(this.#words, POSITION, word);
    // Waking costs ten times as much as the rest, and the thread seldom waits. The thread stores that it waits and
    // then reads the position once more: either it sees this position, or we see here that it waits.
    if (before !== word && Atomics.load(this.#words, SLEEPS) === before)
      Atomics.notify(this.#words, POSITION);
  }

  written(): JournalPosition {
    const word = Atomics.load(this.#words, POSITION);
    return { segment: Number(word >> 32n), offset: Number(word & 0xffff_ffffn) };
  }

  fullness(): number {
    return Number(Atomics.load(this.#words, FULLNESS)) / MILLION;
  }

  /** Resolves once a position other than `seen` was written, or after the timeout. */
  async changed(seen: JournalPosition, timeoutMs: number): Promise<void> {
    const word = wordOf(seen);
    Atomics.store(this.#words, SLEEPS, word);
    const waiting = Atomics.waitAsync(this.#words, POSITION, word, timeoutMs);
    if (waiting.async) await waiting.value;
  }
}

/** The whole position in one word, so that it is read and written atomically. */
function wordOf({ segment, offset }: JournalPosition): bigint {
  return (BigInt(segment) << 32n) | BigInt(offset);
}
