/** Something with a deadline. Belongs to at most one wheel, which owns the links. */
export interface WheelEntry {
  /** On the wheel's clock, in milliseconds. */
  deadlineAt: number;
  onDeadline(): void;
  wheelNext: WheelEntry | undefined;
  wheelPrevious: WheelEntry | undefined;
  wheelSlot: number;
}

/** Value of `wheelSlot` while an entry is on no wheel. */
export const OFF_WHEEL = -1;

export interface DeadlineWheelOptions {
  /** Maximum delay of a deadline; default 5 ms. */
  readonly tickMs?: number;
  readonly slots?: number;
  readonly now?: () => number;
}

/**
 * Deadlines of many short-lived objects with a single timer: adding and removing cost a few pointer writes, while a
 * timer each would cost more than the work it guards. Fires at the deadline or up to one tick later, never before.
 * The timer runs only while the wheel has entries. (Hashed timing wheel of Varghese and Lauck.)
 */
export class DeadlineWheel implements Disposable {
  readonly #tickMs: number;
  readonly #slots: (WheelEntry | undefined)[];
  readonly #now: () => number;
  #size = 0;
  #tick = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DeadlineWheelOptions = {}) {
    this.#tickMs = options.tickMs ?? 5;
    this.#slots = new Array<WheelEntry | undefined>(options.slots ?? 1024).fill(undefined);
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#size;
  }

  add(entry: WheelEntry): void {
    if (this.#size === 0) this.#tick = Math.floor(this.#now() / this.#tickMs);
    const due = Math.max(Math.ceil(entry.deadlineAt / this.#tickMs), this.#tick + 1);
    const slot = due % this.#slots.length;
    const first = this.#slots[slot];
    entry.wheelSlot = slot;
    entry.wheelNext = first;
    entry.wheelPrevious = undefined;
    if (first) first.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#size++;
    this.#timer ??= setInterval(() => this.advance(), this.#tickMs);
  }

  /** Removes an entry; no effect if it has fired or was removed before. */
  remove(entry: WheelEntry): void {
    if (entry.wheelSlot === OFF_WHEEL) return;
    const { wheelNext: next, wheelPrevious: previous } = entry;
    if (next) next.wheelPrevious = previous;
    if (previous) previous.wheelNext = next;
    else this.#slots[entry.wheelSlot] = next;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    entry.wheelSlot = OFF_WHEEL;
    this.#size--;
  }

  /** Fires due entries. Called by the timer, or by a test with its own clock. */
  advance(): void {
    const now = this.#now();
    const newest = Math.floor(now / this.#tickMs);
    // After a pause longer than one revolution of the wheel, every slot is visited once, not more.
    const from = Math.max(this.#tick + 1, newest - this.#slots.length + 1);
    this.#tick = newest;
    for (let tick = from; tick <= newest; tick++) this.#fireSlot(tick % this.#slots.length, now);
    if (this.#size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #fireSlot(slot: number, now: number): void {
    const due: WheelEntry[] = [];
    for (let entry = this.#slots[slot]; entry; entry = entry.wheelNext)
      if (entry.deadlineAt <= now) due.push(entry);
    for (const entry of due) {
      // An earlier entry of this slot may have removed this one.
      if (entry.wheelSlot === OFF_WHEEL) continue;
      this.remove(entry);
      entry.onDeadline();
    }
  }
}
