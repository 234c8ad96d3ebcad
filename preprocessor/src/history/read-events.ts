import type { HistoryEvent, HistoryRead } from '@hotloop/model/features/history.ts';
import type { Slices } from './append-events.ts';
import {
  decodeSlice,
  type PackedEntity,
  type PackedType,
  SLICE_MS,
  sliceName,
  sliceOf,
} from './packed-entity.ts';
import { eventOf, hasSameId, type Row } from './packed-rows.ts';

/**
 * The slices of the second key that a read needs; none for an entity without older events, or if their summaries are
 * enough.
 */
export function slicesOf({ types }: PackedEntity, read: HistoryRead): string[] {
  const state = types.get(read.event);
  if (state === undefined || state.olderMs < read.sinceMs) return [];
  return neededSlices(state, read).map((slice) => sliceName(read.event, slice));
}

function neededSlices({ columns, tiles }: PackedType, { sinceMs, limit, summarize }: HistoryRead): number[] {
  const divided = new Set([sinceMs, ...(summarize?.edgesMs ?? [])].map(sliceOf));
  const wanted = summarize?.events ?? limit;
  const needed: number[] = [];
  let have = columns.times.length;
  for (const { slice, count } of tiles) {
    if ((slice + 1) * SLICE_MS <= sinceMs) break;
    if (have < wanted || (summarize !== undefined && divided.has(slice))) needed.push(slice);
    have += count;
  }
  return needed;
}

/**
 * The older events of a read, or summaries where they are enough, newest first. `slices` may have been read later
 * than the entity, so events that were moved there since are omitted.
 */
export function olderEvents(
  state: PackedType,
  read: HistoryRead,
  slices: Slices,
  most: number,
): HistoryEvent[] {
  const { sinceMs, fields, event: type } = read;
  const needed = new Set(neededSlices(state, read));
  const found: HistoryEvent[] = [];
  for (const { slice, count, newestMs, fields: summed } of state.tiles) {
    if (newestMs < sinceMs || found.length >= most) break;
    if (needed.has(slice)) {
      for (const row of decodeSlice(slices.get(sliceName(type, slice)) ?? null)) {
        if (row.atMs < sinceMs || found.length >= most) break;
        if (isOlder(state, row)) found.push(eventOf(row, fields));
      }
    } else if (read.summarize === undefined) break;
    else
      found.push({
        ...{ id: `summary ${slice}`, atMs: newestMs, fields: NO_FIELDS },
        summary: { count, fields: summed },
      });
  }
  return found;
}

/** Whether an event of a slice was already there when the entity was read. */
function isOlder({ olderMs, rows }: PackedType, row: Row): boolean {
  if (row.atMs !== olderMs) return row.atMs < olderMs;
  return !rows.some((own) => own.atMs === olderMs && hasSameId(own, row));
}

const NO_FIELDS = Object.freeze(Object.create(null) as HistoryEvent['fields']);
