import { HotloopError } from '@hotloop/proto/errors.ts';

/** The shape key of work that must not share a run. */
export const ALONE = 'alone';

/** An item of the queue. */
export interface Waiting {
  readonly rows: number;
  /** Higher runs first. */
  readonly priority: number;
  /** Milliseconds on the monotonic clock. */
  readonly deadlineAt: number;
  /**
   * Only work with equal keys can share a batch, and `ALONE` work never does. Empty for a model all of whose work can
   * share.
   */
  readonly shapeKey: string;
  /** True when the caller no longer waits for the answer. */
  isOver(): boolean;
}

export interface Taken<T> {
  readonly batch: readonly T[];
  readonly rows: number;
  /** Expired or cancelled: must not run. */
  readonly over: readonly T[];
}

interface Lane<T> {
  readonly priority: number;
  items: T[];
  head: number;
}

/** First in, first out within a lane, higher lanes first. Bounded in rows. Pure: the time is an argument. */
export class WorkQueue<T extends Waiting> {
  readonly #capacityRows: number;
  /**
   * In descending order of priority. Empty lanes are removed: callers choose the priorities, so lanes would otherwise
   * accumulate.
   */
  #lanes: Lane<T>[] = [];
  #rows = 0;
  #length = 0;

  constructor(capacityRows: number) {
    this.#capacityRows = capacityRows;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Number of different priorities that are waiting. */
  get lanes(): number {
    return this.#lanes.length;
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Throws RESOURCE_EXHAUSTED `queue_full`. An item larger than the whole queue is accepted while the queue is empty.
   */
  push(item: T): void {
    if (this.#length > 0 && this.#rows + item.rows > this.#capacityRows)
      throw new HotloopError('RESOURCE_EXHAUSTED', 'too many rows wait for this model; try again later', {
        reason: 'queue_full',
      });
    this.#lane(item.priority).items.push(item);
    this.#rows += item.rows;
    this.#length++;
  }

  /** Puts work back at the front of its lane, even beyond the bound: it was already accepted. */
  pushFront(items: readonly T[]): void {
    for (const item of items.toReversed()) {
      const lane = this.#lane(item.priority);
      lane.items.splice(lane.head, 0, item);
      this.#rows += item.rows;
      this.#length++;
    }
  }

  /** Takes up to `maxRows` rows of one shape, at least one item, and removes expired work on the way. */
  take(maxRows: number, now: number): Taken<T> {
    const batch: T[] = [];
    const over: T[] = [];
    let rows = 0;
    while (rows < maxRows) {
      const lane = this.#lanes[0];
      if (!lane) break;
      const item = lane.items[lane.head] as T;
      const isOver = item.deadlineAt <= now || item.isOver();
      if (
        !isOver &&
        batch.length > 0 &&
        (rows + item.rows > maxRows || item.shapeKey !== batch[0]?.shapeKey || item.shapeKey === ALONE)
      )
        break;
      this.#drop(lane, item);
      if (isOver) over.push(item);
      else {
        batch.push(item);
        rows += item.rows;
      }
    }
    return { batch, rows, over };
  }

  /** Removes expired and cancelled work. */
  sweep(now: number): T[] {
    return this.#remove((item) => item.deadlineAt <= now || item.isOver());
  }

  clear(): T[] {
    return this.#remove(() => true);
  }

  #remove(isMeant: (item: T) => boolean): T[] {
    const removed: T[] = [];
    for (const lane of this.#lanes) {
      const kept: T[] = [];
      for (let at = lane.head; at < lane.items.length; at++) {
        const item = lane.items[at] as T;
        if (isMeant(item)) removed.push(item);
        else kept.push(item);
      }
      lane.items = kept;
      lane.head = 0;
    }
    this.#lanes = this.#lanes.filter((lane) => lane.items.length > 0);
    for (const item of removed) this.#rows -= item.rows;
    this.#length -= removed.length;
    return removed;
  }

  /** Removes the first item of the first lane. */
  #drop(lane: Lane<T>, item: T): void {
    lane.head++;
    this.#rows -= item.rows;
    this.#length--;
    // Removing from an array's front is linear in its length, so it is done only now and then.
    if (lane.head === lane.items.length) this.#lanes.shift();
    else if (lane.head >= 1024) {
      lane.items = lane.items.slice(lane.head);
      lane.head = 0;
    }
  }

  #lane(priority: number): Lane<T> {
    let at = 0;
    let found = this.#lanes[at];
    while (found && found.priority > priority) found = this.#lanes[++at];
    if (found?.priority === priority) return found;
    const lane: Lane<T> = { priority, items: [], head: 0 };
    this.#lanes.splice(at, 0, lane);
    return lane;
  }
}
