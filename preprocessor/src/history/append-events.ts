import type { FieldSummary } from '@hotloop/model/features/history.ts';
import { HISTORY_LENGTH, type HistoryEntry } from './history.ts';
import {
  decodeSlice,
  encodeEntity,
  encodeSlice,
  MOST_TAIL_ROWS,
  type PackedEntity,
  type PackedType,
  SLICE_MS,
  sliceName,
  sliceOf,
  type Tile,
} from './packed-entity.ts';
import { bytesOf, fieldsOf, holds, insertRow, packRow, type Row } from './packed-rows.ts';

/**
 * Maximum number of events of one type in an entity's own key, and the number that remains there when there are more.
 */
const OWN_EVENTS = 512;
const OWN_BYTES = 64 * 1024;
const KEPT_EVENTS = 256;
const KEPT_BYTES = 32 * 1024;
/** Number of new events after which the limit is checked. */
const STEP = 256;
/** Number of events of one type above which the oldest are dropped; those of a tail come on top of it. */
const MOST_EVENTS = HISTORY_LENGTH + HISTORY_LENGTH / 16 - MOST_TAIL_ROWS;

/** Slices of the second key: their bytes, or null if there is no such slice. */
export type Slices = ReadonlyMap<string, Buffer | null>;

/** Either the slices that must be read first, or what must be written, which may be nothing. */
export type Change =
  | { readonly kind: 'needs'; readonly slices: readonly string[] }
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'changed';
      readonly entity: Buffer;
      /** Changes of the second key; null: delete the slice. */
      readonly slices: Slices;
    };

/**
 * Adds events to an entity (undefined: an unknown one), and merges its tail, if it has one. An event is ignored if its
 * id is among the entity's newest events of its type or among those of its time slice, or if it is older than the
 * dropped events. Events older than `oldestMs` are dropped in whole slices.
 */
export function appendEvents(
  entity: PackedEntity | undefined,
  entries: readonly HistoryEntry[],
  oldestMs: number,
  loaded: Slices,
  token: Uint8Array,
): Change {
  const cutMs = sliceOf(oldestMs) * SLICE_MS;
  const change = new EntityChange(loaded);
  const types = new Map<string, Omit<PackedType, 'columns'>>(entity?.types);
  const added = Map.groupBy(entries, ({ event }) => event);
  if (entity?.hasTail) {
    change.write();
    for (const type of types.keys()) if (!added.has(type)) added.set(type, []);
  }
  for (const [type, own] of added) {
    const list = new TypeChange(type, entity?.types.get(type), change);
    list.moveOlder();
    for (let from = 0; from < own.length; from += STEP) {
      for (const entry of own.slice(from, from + STEP)) if (entry.atMs >= cutMs) list.add(packRow(entry));
      list.moveOlder();
    }
    list.forgetUntil(cutMs);
    list.makeRoom();
    types.set(type, list.finished());
  }
  for (const [type, state] of types) {
    if (state.oldestMs < cutMs) {
      const list = new TypeChange(type, state, change);
      list.forgetUntil(cutMs);
      types.set(type, list.finished());
    }
    const { rows, tiles, floorMs } = types.get(type) as PackedType;
    if (rows.length === 0 && tiles.length === 0 && floorMs < cutMs) types.delete(type);
  }
  return change.result(() => encodeEntity(token, types));
}

/** Removes events from an entity, including those of its second key, of which it needs all slices; returns how many. */
export function removeEvents(
  entity: PackedEntity,
  loaded: Slices,
  goes: (row: Row) => boolean,
  token: Uint8Array,
): { readonly count: number; readonly change: Change } {
  const change = new EntityChange(loaded);
  const types = new Map<string, Omit<PackedType, 'columns'>>();
  let count = 0;
  for (const [type, state] of entity.types) {
    const list = new TypeChange(type, state, change);
    count += list.remove(goes);
    types.set(type, list.finished());
  }
  return { count, change: change.result(() => encodeEntity(token, types)) };
}

/** The slices that were read and those that change while events are added to an entity. */
class EntityChange {
  readonly #loaded: Slices;
  readonly #needed = new Set<string>();
  readonly #rows = new Map<string, Row[]>();
  readonly #changed = new Set<string>();
  #touched = false;

  constructor(loaded: Slices) {
    this.#loaded = loaded;
  }

  /** Rows of a slice, to be changed in place; undefined when they must be read first. */
  rowsOf(name: string, isNew: boolean): Row[] | undefined {
    const known = this.#rows.get(name);
    if (known !== undefined) return known;
    const bytes = this.#loaded.get(name);
    if (bytes === undefined && !isNew) {
      this.#needed.add(name);
      return undefined;
    }
    const rows = decodeSlice(bytes ?? null);
    this.#rows.set(name, rows);
    return rows;
  }

  /** Writes slices of one type, or, without a name, only the entity's own key. */
  write(name?: string): void {
    this.#touched = true;
    if (name !== undefined) this.#changed.add(name);
  }

  remove(name: string): void {
    this.#rows.set(name, []);
    this.write(name);
  }

  result(encode: () => Buffer): Change {
    if (this.#needed.size > 0) return { kind: 'needs', slices: [...this.#needed] };
    if (!this.#touched) return { kind: 'unchanged' };
    const slices = new Map<string, Buffer | null>();
    for (const name of this.#changed) {
      const rows = this.#rows.get(name) ?? [];
      slices.set(name, rows.length === 0 ? null : encodeSlice(rows));
    }
    return { kind: 'changed', entity: encode(), slices };
  }
}

/** The events of one type while they change. */
class TypeChange {
  readonly #type: string;
  readonly #change: EntityChange;
  readonly #rows: Row[];
  readonly #tiles: Map<number, Tile>;
  #olderMs: number;
  #floorMs: number;

  constructor(type: string, state: Omit<PackedType, 'columns'> | undefined, change: EntityChange) {
    this.#type = type;
    this.#change = change;
    this.#rows = [...(state?.rows ?? [])];
    this.#tiles = new Map(state?.tiles.map((tile) => [tile.slice, tile]));
    this.#olderMs = state?.olderMs ?? Number.NEGATIVE_INFINITY;
    this.#floorMs = state?.floorMs ?? Number.NEGATIVE_INFINITY;
  }

  add(row: Row): void {
    const { atMs } = row;
    if (atMs <= this.#floorMs || holds(this.#rows, row)) return;
    if (atMs <= this.#olderMs) {
      const slice = this.#slice(sliceOf(atMs));
      if (slice === undefined || holds(slice, row)) return;
      if (atMs < this.#olderMs) {
        this.#insertOlder(slice, row);
        return;
      }
    }
    insertRow(this.#rows, row);
    this.#change.write();
  }

  /** Moves all but the newest events into the second key when there are too many. */
  moveOlder(): void {
    const rows = this.#rows;
    if (rows.length <= OWN_EVENTS && bytesOf(rows) <= OWN_BYTES) return;
    let kept = 0;
    for (let bytes = 0; kept < KEPT_EVENTS && kept < rows.length; kept++) {
      const { start, end } = rows[kept] as Row;
      bytes += end - start;
      if (bytes > KEPT_BYTES && kept > 0) break;
    }
    for (const row of rows.splice(kept)) {
      const slice = this.#slice(sliceOf(row.atMs));
      if (slice === undefined) continue;
      this.#insertOlder(slice, row);
      this.#olderMs = Math.max(this.#olderMs, row.atMs);
    }
  }

  forgetUntil(cutMs: number): void {
    const rows = this.#rows;
    while (rows.length > 0 && (rows.at(-1) as Row).atMs < cutMs) {
      rows.pop();
      this.#change.write();
    }
    for (const slice of this.#tiles.keys()) if (slice * SLICE_MS < cutMs) this.#drop(slice);
  }

  makeRoom(): void {
    let total = this.#rows.length;
    for (const { count } of this.#tiles.values()) total += count;
    if (total <= MOST_EVENTS) return;
    let excess = total - HISTORY_LENGTH;
    for (const { slice, count, newestMs } of [...this.#tiles.values()].sort(oldestFirst)) {
      if (excess === 0) return;
      const rows = count <= excess ? undefined : this.#slice(slice);
      const newestGone = rows?.[rows.length - excess];
      if (count > excess && rows === undefined) return;
      if (rows === undefined || newestGone === undefined) {
        this.#drop(slice);
        this.#floorMs = Math.max(this.#floorMs, newestMs);
        excess = Math.max(0, excess - count);
        continue;
      }
      this.#floorMs = Math.max(this.#floorMs, newestGone.atMs);
      rows.length -= excess;
      this.#countAgain(slice, rows);
      return;
    }
  }

  remove(goes: (row: Row) => boolean): number {
    const before = this.#rows.length;
    const kept = this.#rows.filter((row) => !goes(row));
    this.#rows.splice(0, before, ...kept);
    let count = before - kept.length;
    if (count > 0) this.#change.write();
    for (const slice of this.#tiles.keys()) {
      const rows = this.#slice(slice);
      if (rows === undefined) continue;
      const left = rows.filter((row) => !goes(row));
      if (left.length === rows.length) continue;
      count += rows.length - left.length;
      rows.splice(0, rows.length, ...left);
      this.#countAgain(slice, left);
    }
    return count;
  }

  finished(): Omit<PackedType, 'columns'> {
    const tiles = [...this.#tiles.values()].sort((a, b) => b.slice - a.slice);
    const last = tiles.at(-1);
    return {
      rows: this.#rows,
      tiles,
      olderMs: tiles.length === 0 ? Number.NEGATIVE_INFINITY : this.#olderMs,
      floorMs: this.#floorMs,
      oldestMs: last ? last.slice * SLICE_MS : (this.#rows.at(-1)?.atMs ?? Number.POSITIVE_INFINITY),
    };
  }

  #slice(slice: number): Row[] | undefined {
    return this.#change.rowsOf(sliceName(this.#type, slice), !this.#tiles.has(slice));
  }

  #insertOlder(slice: Row[], row: Row): void {
    insertRow(slice, row);
    const at = sliceOf(row.atMs);
    this.#tiles.set(at, counted(this.#tiles.get(at) ?? emptyTile(at), row));
    this.#change.write(sliceName(this.#type, at));
  }

  #drop(slice: number): void {
    this.#tiles.delete(slice);
    this.#change.remove(sliceName(this.#type, slice));
  }

  #countAgain(slice: number, rows: readonly Row[]): void {
    if (rows.length === 0) {
      this.#drop(slice);
      return;
    }
    this.#tiles.set(slice, rows.reduce(counted, emptyTile(slice)));
    this.#change.write(sliceName(this.#type, slice));
  }
}

function oldestFirst(a: Tile, b: Tile): number {
  return a.slice - b.slice;
}

function emptyTile(slice: number): Tile {
  return { slice, count: 0, newestMs: 0, fields: Object.create(null) as Tile['fields'] };
}

/** Only fields whose names a feature can use are summed. */
const NAME = /^[A-Za-z_]\w*$/;

function counted(tile: Tile, row: Row): Tile {
  const fields = Object.assign(Object.create(null) as Record<string, FieldSummary>, tile.fields);
  for (const [name, given] of Object.entries(fieldsOf(row))) {
    if ((typeof given !== 'number' && typeof given !== 'boolean') || !NAME.test(name)) continue;
    const value = Number(given);
    const { count, sum, min, max } = fields[name] ?? { count: 0, sum: 0, min: value, max: value };
    fields[name] = {
      count: count + 1,
      sum: sum + value,
      min: Math.min(min, value),
      max: Math.max(max, value),
    };
  }
  return { ...tile, count: tile.count + 1, newestMs: Math.max(tile.newestMs, row.atMs), fields };
}
