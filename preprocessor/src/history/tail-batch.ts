import type { HistoryEntry } from './history.ts';
import { RowWriter } from './packed-rows.ts';

const SIZE_BYTES = 12;
/** Expected bytes of one event; the buffer grows if they are more. */
const EVENT_BYTES = 128;

/** New events of one entity. */
export type Group = readonly [key: string, entries: readonly HistoryEntry[]];

/** Arguments of the script that appends the events of some entities to their tails. */
export interface TailBatch {
  readonly keys: readonly string[];
  /** For each entity f64 the time of its oldest new event, and u32 the bytes of its new events. */
  readonly sizes: Buffer;
  /** The new events of one entity after the other, in the form of a tail (`packed-entity.ts`). */
  readonly rows: Buffer;
}

/** Packs the new events of entities for the script that appends them. */
export function tailBatch(groups: readonly Group[]): TailBatch {
  const keys: string[] = [];
  const sizes = Buffer.allocUnsafe(groups.length * SIZE_BYTES);
  let total = 0;
  for (const [, entries] of groups) total += entries.length;
  const writer = new RowWriter(total * EVENT_BYTES);
  let [at, from] = [0, 0];
  for (const [key, entries] of groups) {
    keys.push(key);
    let until = from;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const entry of entries) {
      until = writer.add(entry, entry.event);
      if (entry.atMs < oldestMs) oldestMs = entry.atMs;
    }
    at = sizes.writeDoubleLE(oldestMs, at);
    at = sizes.writeUInt32LE(until - from, at);
    from = until;
  }
  return { keys, sizes, rows: writer.bytes(0, from) };
}
