import type { JournalPosition } from './segment.ts';
import type { ShipperCounts, ShipperOptions } from './shipper.ts';

/** What a shipping thread is started with. */
export interface ShipThreadData {
  readonly name: string;
  readonly directory: string;
  readonly provisional: string | undefined;
  /** See ShipWords. */
  readonly words: SharedArrayBuffer;
  readonly databaseUrl: string;
  readonly application: string;
  readonly options: Partial<ShipperOptions>;
  /** The longest that the thread sleeps without looking by itself. */
  readonly wakeMs: number;
}

/** To the thread. */
export type ShipOrder =
  /** Ship what has been written by now without resting, and tell; nobody waits for it after the time. */
  | { readonly kind: 'flush'; readonly id: number; readonly deadlineMs: number }
  /** End after the shipment in hand. */
  | { readonly kind: 'close' };

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error';

/** From the thread. */
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
const SLEEPS = 2;
const MILLION = 1_000_000;

/** Where the writer of a journal tells its shipping thread how far it is, at the price of a store. */
export class ShipWords {
  static readonly BYTES = 24;
  readonly #words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer);
  }

  /** One word holds the whole position, so that no half of it is ever read. */
  tell(written: JournalPosition, fullness: number): void {
    Atomics.store(this.#words, FULLNESS, BigInt(Math.round(fullness * MILLION)));
    const word = (BigInt(written.segment) << 32n) | BigInt(written.offset);
    // Whoever is about to sleep has said so, and looks at the position once more: that may be forgotten only when it has changed.
    if (Atomics.exchange(this.#words, POSITION, word) === word) return;
    // Waking costs ten times as much as the rest, and hardly ever is anybody asleep.
    if (Atomics.exchange(this.#words, SLEEPS, 0n) === 1n) Atomics.notify(this.#words, POSITION);
  }

  written(): JournalPosition {
    const word = Atomics.load(this.#words, POSITION);
    return { segment: Number(word >> 32n), offset: Number(word & 0xffff_ffffn) };
  }

  fullness(): number {
    return Number(Atomics.load(this.#words, FULLNESS)) / MILLION;
  }

  /** Resolves once something else than `seen` has been written, or after the time. */
  async changed(seen: JournalPosition, timeoutMs: number): Promise<void> {
    const word = (BigInt(seen.segment) << 32n) | BigInt(seen.offset);
    Atomics.store(this.#words, SLEEPS, 1n);
    const waiting = Atomics.waitAsync(this.#words, POSITION, word, timeoutMs);
    if (waiting.async) await waiting.value;
  }
}
