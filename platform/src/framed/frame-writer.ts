/** Limits of one frame. */
export interface FrameLimits {
  readonly maxItems: number;
  /** Approximate; a single larger item is still sent, alone. */
  readonly maxBytes: number;
}

export const DEFAULT_FRAME_LIMITS: FrameLimits = { maxItems: 256, maxBytes: 1024 * 1024 };

/** Assumed size of an item without a size function, in bytes. */
export const ASSUMED_ITEM_BYTES = 512;

/** Receives the frames. */
export interface FrameSink<Item> {
  /** Writes one frame. Returning false pauses the writer until `resume`. The sink owns `items`. */
  write(items: Item[]): boolean;
  sizeOf(item: Item): number;
  /** Last check before an item is put into a frame; false leaves it out. */
  admit(item: Item): boolean;
  /** True when nothing is in flight that could bring more items soon. */
  isIdle(): boolean;
}

/**
 * Gathers items that are pushed in one turn of the event loop and writes them in few frames. While other items are in
 * flight, it waits for setImmediate, which runs after all I/O callbacks of the turn and their promises, so that items
 * that become ready together are sent together. On an idle stream that wait would only add latency (it doubles the
 * cost of a single call), so the frame is written as soon as the pending promises have run. Keeps the order. Pauses
 * while the sink is full.
 */
export class FrameWriter<Item> {
  readonly #sink: FrameSink<Item>;
  readonly #limits: FrameLimits;
  #queue: Item[] = [];
  #scheduled: NodeJS.Immediate | undefined;
  #soon = false;
  #blocked: boolean;

  /** If `blocked`, nothing is written before `resume`. */
  constructor(sink: FrameSink<Item>, limits: FrameLimits, blocked = false) {
    this.#sink = sink;
    this.#limits = limits;
    this.#blocked = blocked;
  }

  /** Number of items not yet written. */
  get waiting(): number {
    return this.#queue.length;
  }

  push(item: Item): void {
    this.#queue.push(item);
    this.#schedule();
  }

  /** Call when the sink accepts frames again. */
  resume(): void {
    this.#blocked = false;
    if (this.#queue.length > 0) this.#schedule();
  }

  /** Writes the waiting items, unless the sink is full. */
  flush(): void {
    this.#cancelSchedule();
    if (this.#blocked || this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    let next = 0;
    while (next < queue.length && !this.#blocked) {
      const items: Item[] = [];
      next = this.#fill(queue, next, items);
      if (items.length > 0 && !this.#sink.write(items)) this.#blocked = true;
    }
    // Items that were pushed meanwhile come after those that were not written.
    if (next < queue.length) this.#queue = queue.slice(next).concat(this.#queue);
  }

  /** Removes and returns everything that was not written; nothing is written any more. */
  stop(): Item[] {
    this.#cancelSchedule();
    this.#blocked = true;
    const left = this.#queue;
    this.#queue = [];
    return left;
  }

  #fill(queue: readonly Item[], from: number, items: Item[]): number {
    let bytes = 0;
    let next = from;
    for (; next < queue.length && items.length < this.#limits.maxItems; next++) {
      const item = queue[next]!;
      if (!this.#sink.admit(item)) continue;
      const size = this.#sink.sizeOf(item);
      if (items.length > 0 && bytes + size > this.#limits.maxBytes) break;
      bytes += size;
      items.push(item);
    }
    return next;
  }

  #schedule(): void {
    if (this.#blocked || this.#soon) return;
    if (this.#sink.isIdle()) {
      this.#soon = true;
      process.nextTick(() => {
        this.#soon = false;
        this.flush();
      });
    } else this.#scheduled ??= setImmediate(() => this.flush());
  }

  #cancelSchedule(): void {
    if (this.#scheduled) clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
  }
}
