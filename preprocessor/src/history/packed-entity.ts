import type { FieldSummary } from '@hotloop/model/features/history.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { bytesOf, copyRows, mergeRows, type Row, RowColumns, rowAt, rowsOf } from './packed-rows.ts';

/** Length of the time slice that one summary covers, in ms. */
export const SLICE_MS = 6 * 3_600_000;
/** Bytes at the start of an entity that change whenever it is packed. */
export const TOKEN_BYTES = 8;
const FORMAT = 2;
const OLDER_AT = 9;
const LENGTH_AT = 10;
const COUNT_AT = 14;
const TYPES_AT = 32;

/** A tail of more bytes is merged, and more new events of one entity at a time do not go into a tail. */
export const MOST_TAIL_BYTES = 4096;
export const MOST_TAILED = 64;
/** More than the number of the smallest rows in a tail to which one more batch was appended. */
export const MOST_TAIL_ROWS = 256;

/** Several events of one time slice, which starts at `slice * SLICE_MS`. */
export interface Tile {
  readonly slice: number;
  readonly count: number;
  readonly newestMs: number;
  readonly fields: Readonly<Record<string, FieldSummary>>;
}

/** An entity's events of one type. */
export interface PackedType {
  /** The newest events, newest first. */
  readonly rows: readonly Row[];
  /** Summaries of the older events, newest first. The events themselves are in the entity's second key, by slice. */
  readonly tiles: readonly Tile[];
  /** Time of the newest of the older events; -Infinity: there are none. Events in `rows` are not older. */
  readonly olderMs: number;
  /** Events up to this time were dropped, and are not accepted again. */
  readonly floorMs: number;
  readonly oldestMs: number;
  readonly columns: RowColumns;
}

/**
 * The contents of an entity's own key: a packed part, and a tail of events that were appended since it was packed. The
 * script that appends reads the first bytes (`history-script.ts`).
 *
 * Packed part: token (8), format (1), 1 when a type has older events (1), u32 length of this part, u16 number of
 * types, f64 the largest olderMs and floorMs of any type, f64 time of the oldest event; for each type: u16 length and
 * its name, f64 olderMs, f64 floorMs, f64 oldestMs, u32 bytes of rows, u32 bytes of tiles, the rows, the tiles. A tile:
 * i32 slice, u32 count, f64 newestMs, u16 number of fields; for each: u16 length and its name, u32 count, f64 sum, min,
 * max.
 *
 * Tail, in the order of writing: u16 length and name of the type, the row. All are newer than every olderMs and
 * floorMs; some may have the id of an earlier row, and then do not count.
 */
export interface PackedEntity {
  /** False: the second key contains nothing of it. */
  readonly hasOlder: boolean;
  readonly hasTail: boolean;
  /** Events of the tail are among the others. */
  readonly types: ReadonlyMap<string, PackedType>;
}

/** Throws UNAVAILABLE for data of a newer version, and for truncated data. Parts are decoded on demand. */
export function decodeEntity(buffer: Buffer): PackedEntity {
  if (buffer[TOKEN_BYTES] !== FORMAT)
    throw new HotloopError('UNAVAILABLE', 'the history was written by another version', {
      reason: 'history_format',
    });
  if (buffer.length < TYPES_AT || buffer.readUInt32LE(LENGTH_AT) > buffer.length)
    throw new HotloopError('UNAVAILABLE', 'the history of an entity is damaged', {
      reason: 'history_damaged',
    });
  return new StoredEntity(buffer);
}

class StoredEntity implements PackedEntity {
  readonly hasOlder: boolean;
  readonly hasTail: boolean;
  readonly #buffer: Buffer;
  #types: ReadonlyMap<string, PackedType> | undefined;

  constructor(buffer: Buffer) {
    this.hasOlder = buffer[OLDER_AT] === 1;
    this.hasTail = buffer.length > buffer.readUInt32LE(LENGTH_AT);
    this.#buffer = buffer;
  }

  get types(): ReadonlyMap<string, PackedType> {
    this.#types ??= this.hasTail ? withTail(this.#buffer) : typesOf(this.#buffer);
    return this.#types;
  }
}

function withTail(buffer: Buffer): Map<string, PackedType> {
  const added = new Map<string, Row[]>();
  for (let at = buffer.readUInt32LE(LENGTH_AT); at < buffer.length; ) {
    const nameEnd = at + 2 + buffer.readUInt16LE(at);
    const name = buffer.toString('utf8', at + 2, nameEnd);
    const row = rowAt(buffer, nameEnd, buffer.length);
    const rows = added.get(name);
    if (rows === undefined) added.set(name, [row]);
    else rows.push(row);
    at = row.end;
  }
  const types: Map<string, PackedType> = typesOf(buffer);
  for (const [name, rows] of added) types.set(name, new TailedType(buffer, types.get(name), rows));
  return types;
}

/** A type with rows in the tail; merged on first use. */
class TailedType implements PackedType {
  readonly olderMs: number;
  readonly floorMs: number;
  readonly #buffer: Buffer;
  readonly #packed: PackedType | undefined;
  readonly #added: readonly Row[];
  #rows: readonly Row[] | undefined;
  #columns: RowColumns | undefined;

  constructor(buffer: Buffer, packed: PackedType | undefined, added: readonly Row[]) {
    this.olderMs = packed?.olderMs ?? Number.NEGATIVE_INFINITY;
    this.floorMs = packed?.floorMs ?? Number.NEGATIVE_INFINITY;
    this.#buffer = buffer;
    this.#packed = packed;
    this.#added = added;
  }

  get rows(): readonly Row[] {
    this.#rows ??= mergeRows(this.#packed?.rows ?? [], this.#added);
    return this.#rows;
  }

  get columns(): RowColumns {
    this.#columns ??= RowColumns.ofRows(this.#buffer, this.rows);
    return this.#columns;
  }

  get tiles(): readonly Tile[] {
    return this.#packed?.tiles ?? [];
  }

  get oldestMs(): number {
    const { rows } = this;
    return Math.min(this.#packed?.oldestMs ?? Number.POSITIVE_INFINITY, (rows.at(-1) as Row).atMs);
  }
}

function typesOf(buffer: Buffer): Map<string, PackedType> {
  const types = new Map<string, PackedType>();
  let at = TYPES_AT;
  for (let left = buffer.readUInt16LE(COUNT_AT); left > 0; left--) {
    const nameEnd = at + 2 + buffer.readUInt16LE(at);
    const name = buffer.toString('utf8', at + 2, nameEnd);
    const rowsAt = nameEnd + 32;
    const tilesAt = rowsAt + buffer.readUInt32LE(nameEnd + 24);
    const end = tilesAt + buffer.readUInt32LE(nameEnd + 28);
    types.set(name, new StoredType(buffer, nameEnd, rowsAt, tilesAt, end));
    at = end;
  }
  return types;
}

class StoredType implements PackedType {
  readonly olderMs: number;
  readonly floorMs: number;
  readonly oldestMs: number;
  readonly #buffer: Buffer;
  readonly #rowsAt: number;
  readonly #tilesAt: number;
  readonly #end: number;
  #columns: RowColumns | undefined;
  #tiles: readonly Tile[] | undefined;

  constructor(buffer: Buffer, at: number, rowsAt: number, tilesAt: number, end: number) {
    this.olderMs = buffer.readDoubleLE(at);
    this.floorMs = buffer.readDoubleLE(at + 8);
    this.oldestMs = buffer.readDoubleLE(at + 16);
    this.#buffer = buffer;
    this.#rowsAt = rowsAt;
    this.#tilesAt = tilesAt;
    this.#end = end;
  }

  get rows(): readonly Row[] {
    return rowsOf(this.#buffer, this.#rowsAt, this.#tilesAt);
  }

  get columns(): RowColumns {
    this.#columns ??= RowColumns.ofPart(this.#buffer, this.#rowsAt, this.#tilesAt);
    return this.#columns;
  }

  get tiles(): readonly Tile[] {
    this.#tiles ??= tilesOf(this.#buffer, this.#tilesAt, this.#end);
    return this.#tiles;
  }
}

/** The caller sets the token. */
export function encodeEntity(
  token: Uint8Array,
  types: ReadonlyMap<string, Pick<PackedType, 'rows' | 'tiles' | 'olderMs' | 'floorMs' | 'oldestMs'>>,
): Buffer {
  let length = TYPES_AT;
  let hasOlder = 0;
  let boundMs = Number.NEGATIVE_INFINITY;
  let oldestEventMs = Number.POSITIVE_INFINITY;
  for (const [name, { rows, tiles, olderMs, floorMs, oldestMs }] of types) {
    boundMs = Math.max(boundMs, olderMs, floorMs);
    oldestEventMs = Math.min(oldestEventMs, oldestMs);
    length += 34 + Buffer.byteLength(name) + bytesOf(rows) + tileBytes(tiles);
    if (tiles.length > 0) hasOlder = 1;
  }
  const buffer = Buffer.allocUnsafe(length);
  buffer.set(token, 0);
  buffer[TOKEN_BYTES] = FORMAT;
  buffer[OLDER_AT] = hasOlder;
  buffer.writeUInt32LE(length, LENGTH_AT);
  let at = buffer.writeUInt16LE(types.size, COUNT_AT);
  at = buffer.writeDoubleLE(boundMs, at);
  at = buffer.writeDoubleLE(oldestEventMs, at);
  for (const [name, { rows, tiles, olderMs, floorMs, oldestMs }] of types) {
    at = writeName(buffer, name, at);
    at = buffer.writeDoubleLE(olderMs, at);
    at = buffer.writeDoubleLE(floorMs, at);
    at = buffer.writeDoubleLE(oldestMs, at);
    const sizesAt = at;
    const tilesAt = copyRows(rows, buffer, sizesAt + 8);
    buffer.writeUInt32LE(tilesAt - sizesAt - 8, sizesAt);
    at = tilesAt;
    for (const tile of tiles) at = writeTile(buffer, tile, at);
    buffer.writeUInt32LE(at - tilesAt, sizesAt + 4);
  }
  return buffer;
}

function writeName(buffer: Buffer, name: string, at: number): number {
  const written = buffer.write(name, at + 2);
  buffer.writeUInt16LE(written, at);
  return at + 2 + written;
}

function tileBytes(tiles: readonly Tile[]): number {
  let bytes = 0;
  for (const { fields } of tiles) {
    bytes += 18;
    for (const name of Object.keys(fields)) bytes += 30 + Buffer.byteLength(name);
  }
  return bytes;
}

function writeTile(buffer: Buffer, { slice, count, newestMs, fields }: Tile, from: number): number {
  let at = buffer.writeInt32LE(slice, from);
  at = buffer.writeUInt32LE(count, at);
  at = buffer.writeDoubleLE(newestMs, at);
  const names = Object.keys(fields);
  at = buffer.writeUInt16LE(names.length, at);
  for (const name of names) {
    const field = fields[name] as FieldSummary;
    at = writeName(buffer, name, at);
    at = buffer.writeUInt32LE(field.count, at);
    at = buffer.writeDoubleLE(field.sum, at);
    at = buffer.writeDoubleLE(field.min, at);
    at = buffer.writeDoubleLE(field.max, at);
  }
  return at;
}

function tilesOf(buffer: Buffer, from: number, until: number): Tile[] {
  const tiles: Tile[] = [];
  for (let at = from; at < until; ) {
    const slice = buffer.readInt32LE(at);
    const count = buffer.readUInt32LE(at + 4);
    const newestMs = buffer.readDoubleLE(at + 8);
    const names = buffer.readUInt16LE(at + 16);
    at += 18;
    const fields = Object.create(null) as Record<string, FieldSummary>;
    for (let left = names; left > 0; left--) {
      const end = at + 2 + buffer.readUInt16LE(at);
      fields[buffer.toString('utf8', at + 2, end)] = {
        count: buffer.readUInt32LE(end),
        sum: buffer.readDoubleLE(end + 4),
        min: buffer.readDoubleLE(end + 12),
        max: buffer.readDoubleLE(end + 20),
      };
      at = end + 28;
    }
    tiles.push({ slice, count, newestMs, fields });
  }
  return tiles;
}

/** The older events of one slice in the format of the second key. */
export function encodeSlice(rows: readonly Row[]): Buffer {
  const buffer = Buffer.allocUnsafe(bytesOf(rows));
  copyRows(rows, buffer, 0);
  return buffer;
}

export function decodeSlice(buffer: Buffer | null): Row[] {
  return buffer === null ? [] : rowsOf(buffer, 0, buffer.length);
}

/** The name of a type's slice in the second key. */
export function sliceName(type: string, slice: number): string {
  return `${type} ${slice}`;
}

export function sliceOf(atMs: number): number {
  return Math.floor(atMs / SLICE_MS);
}
