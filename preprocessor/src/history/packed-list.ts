import { type EventList, numberOf } from '@hotloop/model/features/event-list.ts';
import type { EventSummary, HistoryEvent, HistoryRead } from '@hotloop/model/features/history.ts';
import type { Slices } from './append-events.ts';
import type { PackedEntity, PackedType } from './packed-entity.ts';
import { eventOf, type RowColumns } from './packed-rows.ts';
import { olderEvents } from './read-events.ts';

/**
 * The events of one read: the newest from the entity's own key, then older events and summaries, if any. Decoded on
 * first use.
 */
export class PackedList implements EventList {
  readonly #entity: PackedEntity | undefined;
  readonly #read: HistoryRead;
  readonly #slices: Slices;
  #columns: RowColumns | undefined;
  #isOpen = false;
  /** Number of events from the entity's own key. */
  #own = 0;
  #older: readonly HistoryEvent[] = NONE;
  #times: readonly number[] = NONE;
  #summaries: readonly (EventSummary | undefined)[] | undefined;

  /** `slices` contains at least the slices that `slicesOf` returns for the read. */
  constructor(entity: PackedEntity | undefined, read: HistoryRead, slices: Slices) {
    this.#entity = entity;
    this.#read = read;
    this.#slices = slices;
  }

  get length(): number {
    if (!this.#isOpen) this.#open();
    return this.#own + this.#older.length;
  }

  get times(): readonly number[] {
    if (!this.#isOpen) this.#open();
    return this.#times;
  }

  get summaries(): EventList['summaries'] {
    if (!this.#isOpen) this.#open();
    return this.#summaries;
  }

  numbers(field: string): readonly number[] {
    if (!this.#isOpen) this.#open();
    const numbers = this.#columns?.numbers(field) ?? NONE;
    return this.#older.length === 0
      ? numbers
      : this.#followedBy(numbers, ({ fields }) => numberOf(fields[field]));
  }

  event(index: number): HistoryEvent {
    if (!this.#isOpen) this.#open();
    return index < this.#own
      ? eventOf((this.#columns as RowColumns).row(index), this.#read.fields)
      : (this.#older[index - this.#own] as HistoryEvent);
  }

  #open(): void {
    this.#isOpen = true;
    const state = this.#entity?.types.get(this.#read.event);
    if (state === undefined) return;
    this.#columns = state.columns;
    this.#times = state.columns.times;
    this.#own = ownLength(state, this.#read);
    if (this.#own >= this.#read.limit || state.olderMs < this.#read.sinceMs) return;
    const older = olderEvents(state, this.#read, this.#slices, this.#read.limit - this.#own);
    if (older.length === 0) return;
    this.#older = older;
    this.#times = this.#followedBy(this.#times, ({ atMs }) => atMs);
    if (older.some(({ summary }) => summary !== undefined))
      this.#summaries = [
        ...Array<undefined>(this.#own).fill(undefined),
        ...older.map(({ summary }) => summary),
      ];
  }

  #followedBy<T>(newest: readonly T[], value: (event: HistoryEvent) => T): readonly T[] {
    const all = newest.slice(0, this.#own);
    for (const event of this.#older) all.push(value(event));
    return all;
  }
}

function ownLength({ columns: { times } }: PackedType, { sinceMs, limit }: HistoryRead): number {
  const most = Math.min(times.length, limit);
  let own = 0;
  while (own < most && (times[own] as number) >= sinceMs) own++;
  return own;
}

const NONE: readonly never[] = [];
