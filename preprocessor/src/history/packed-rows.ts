import type { HistoryEvent } from '@hotloop/model/features/history.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';

/**
 * A row: u32 its length, f64 time of the event (ms), f64 time of arrival (us), u16 length of its id, the id, and
 * fields until the end: u16 length of the name, the name, u8 type, and the value: nothing (false, true), f64
 * (number), u32 length and UTF-8 (text, JSON of a list). All little endian.
 */
const AT = 4;
const ARRIVAL = 12;
const ID_LENGTH = 20;
const ID = 22;

const FALSE = 0;
const TRUE = 1;
const NUMBER = 2;
const TEXT = 3;
const LIST = 4;

const DAMAGED = 'a row ends outside its list';

const NO_FIELDS = Object.freeze(Object.create(null) as HistoryEvent['fields']);

/** Position of a row in its buffer. Rows of several buffers can be merged without copying each. */
export interface Row {
  readonly atMs: number;
  readonly arrivalUs: number;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

type PackedEvent = HistoryEvent & { readonly arrivalUs: number };

/** Largest number of bytes that UTF-8 needs for one UTF-16 code unit. */
const UTF8 = 3;
const SHORT_TEXT = 40;

/** An upper bound of the length of an event's row. */
function mostBytes({ id, fields }: PackedEvent): number {
  let bytes = ID + UTF8 * id.length;
  for (const name of Object.keys(fields)) {
    const value = fields[name] as AttributeValue;
    bytes += 3 + 8 + UTF8 * name.length;
    if (typeof value === 'string' || typeof value === 'object') bytes += UTF8 * textOf(value).length;
  }
  return bytes;
}

function textOf(value: string | object): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Encodes an event as a row. */
export function packRow(event: PackedEvent): Row {
  const writer = new RowWriter(mostBytes(event));
  const end = writer.add(event);
  return { atMs: event.atMs, arrivalUs: event.arrivalUs, buffer: writer.bytes(0, end), start: 0, end };
}

/** Encodes rows, and texts before them, one after the other. */
export class RowWriter {
  #buffer: Buffer;
  #at = 0;

  constructor(bytes: number) {
    this.#buffer = Buffer.allocUnsafe(bytes);
  }

  /** The written bytes from one offset to another. They stay valid; later ones may be written elsewhere. */
  bytes(from: number, until: number): Buffer {
    return this.#buffer.subarray(from, until);
  }

  /** Appends a row, with `before` in front of it as a text of u16 length; returns the offset after it. */
  add(event: PackedEvent, before?: string): number {
    const { id, atMs, arrivalUs, fields } = event;
    this.#reserve(mostBytes(event) + 2 + UTF8 * (before?.length ?? 0));
    if (before !== undefined) this.#name(before);
    const start = this.#at;
    this.#buffer.writeDoubleLE(atMs, start + AT);
    this.#buffer.writeDoubleLE(arrivalUs, start + ARRIVAL);
    this.#at = start + ID_LENGTH;
    this.#name(id);
    for (const name of Object.keys(fields)) {
      this.#name(name);
      this.#value(fields[name] as AttributeValue);
    }
    this.#buffer.writeUInt32LE(this.#at - start, start);
    return this.#at;
  }

  #value(value: AttributeValue): void {
    const type = this.#at++;
    if (typeof value === 'boolean') this.#buffer[type] = value ? TRUE : FALSE;
    else if (typeof value === 'number') {
      this.#buffer[type] = NUMBER;
      this.#at = this.#buffer.writeDoubleLE(value, this.#at);
    } else {
      this.#buffer[type] = typeof value === 'string' ? TEXT : LIST;
      this.#at = writeText(this.#buffer, textOf(value), type + 5);
      this.#buffer.writeUInt32LE(this.#at - type - 5, type + 1);
    }
  }

  #name(text: string): void {
    const start = this.#at;
    this.#at = writeText(this.#buffer, text, start + 2);
    this.#buffer.writeUInt16LE(this.#at - start - 2, start);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#at + bytes, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

/** Writes UTF-8; returns the offset after it. Short texts in ASCII without a call into the runtime. */
function writeText(buffer: Buffer, text: string, at: number): number {
  const { length } = text;
  if (length > SHORT_TEXT) return at + buffer.write(text, at);
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 127) return at + buffer.write(text, at);
    buffer[at + index] = code;
  }
  return at + length;
}

/** The consecutive rows in a part of a buffer. Throws RangeError when the part is damaged. */
export function rowsOf(buffer: Buffer, from: number, until: number): Row[] {
  const rows: Row[] = [];
  for (let start = from; start < until; ) {
    const row = rowAt(buffer, start, until);
    rows.push(row);
    start = row.end;
  }
  return rows;
}

/** The row that starts at an offset. Throws RangeError when it does not end before `until`. */
export function rowAt(buffer: Buffer, start: number, until: number): Row {
  const end = rowEnd(buffer, start, until);
  const atMs = buffer.readDoubleLE(start + AT);
  return { atMs, arrivalUs: buffer.readDoubleLE(start + ARRIVAL), buffer, start, end };
}

function rowEnd(buffer: Buffer, start: number, until: number): number {
  const end = start + buffer.readUInt32LE(start);
  if (end < start + ID || end > until) throw new RangeError(DAMAGED);
  return end;
}

/**
 * Adds rows in the order in which they were written: of rows with one id the first remains. Newest first, as `rows`
 * are.
 */
export function mergeRows(rows: readonly Row[], added: readonly Row[]): Row[] {
  const merged = [...rows];
  const ids = new Set(rows.map(idHash));
  for (const row of added) {
    const hash = idHash(row);
    if (ids.has(hash) && holds(merged, row)) continue;
    ids.add(hash);
    insertRow(merged, row);
  }
  return merged;
}

/** Whether one of the rows has the id of another. */
export function holds(rows: readonly Row[], row: Row): boolean {
  for (let index = 0; index < rows.length; index++) if (hasSameId(rows[index] as Row, row)) return true;
  return false;
}

/** Inserts a row at its place in rows that are in order. */
export function insertRow(rows: Row[], row: Row): void {
  let [from, until] = [0, rows.length];
  while (from < until) {
    const middle = (from + until) >> 1;
    if (comesBefore(rows[middle] as Row, row)) from = middle + 1;
    else until = middle;
  }
  rows.splice(from, 0, row);
}

/** Equal for equal ids. From their last bytes, because ids are hashes or end with a number. */
function idHash({ buffer, start }: Row): number {
  const length = buffer.readUInt16LE(start + ID_LENGTH);
  let hash = length;
  for (let at = Math.max(0, length - 4); at < length; at++)
    hash = (hash * 257 + (buffer[start + ID + at] as number)) | 0;
  return hash;
}

/** Copies rows one after the other; adjacent rows of one buffer in a single copy. Returns the end offset. */
export function copyRows(rows: readonly Row[], target: Buffer, at: number): number {
  let to = at;
  for (let index = 0; index < rows.length; ) {
    const { buffer, start } = rows[index] as Row;
    let { end } = rows[index++] as Row;
    for (let next = rows[index]; next?.buffer === buffer && next.start === end; next = rows[++index])
      end = next.end;
    to += buffer.copy(target, to, start, end);
  }
  return to;
}

export function bytesOf(rows: readonly Row[]): number {
  let bytes = 0;
  for (const { start, end } of rows) bytes += end - start;
  return bytes;
}

export function hasSameId(a: Row, b: Row): boolean {
  const length = a.buffer.readUInt16LE(a.start + ID_LENGTH);
  if (b.buffer.readUInt16LE(b.start + ID_LENGTH) !== length) return false;
  const [first, second] = [a.start + ID, b.start + ID];
  for (let at = length - 1; at >= 0; at--) if (a.buffer[first + at] !== b.buffer[second + at]) return false;
  return true;
}

/** Newest first; for equal times, the later arrival first. */
export function comesBefore(a: Row, b: Row): boolean {
  if (a.atMs !== b.atMs) return a.atMs > b.atMs;
  if (a.arrivalUs !== b.arrivalUs) return a.arrivalUs > b.arrivalUs;
  return idOf(a) > idOf(b);
}

export function idOf({ buffer, start }: Row): string {
  return buffer.toString('utf8', start + ID, start + ID + buffer.readUInt16LE(start + ID_LENGTH));
}

/** The event of a row; without its fields unless requested. */
export function eventOf(row: Row, withFields: boolean): HistoryEvent {
  return { id: idOf(row), atMs: row.atMs, fields: withFields ? fieldsOf(row) : NO_FIELDS };
}

export function fieldsOf({ buffer, start, end }: Row): HistoryEvent['fields'] {
  const fields = Object.create(null) as Record<string, AttributeValue>;
  for (let at = start + ID + buffer.readUInt16LE(start + ID_LENGTH); at < end; ) {
    const valueAt = at + 2 + buffer.readUInt16LE(at);
    const name = buffer.toString('utf8', at + 2, valueAt);
    const type = buffer[valueAt];
    if (type === NUMBER) fields[name] = buffer.readDoubleLE(valueAt + 1);
    else if (type === TEXT || type === LIST) {
      const text = buffer.toString('utf8', valueAt + 5, valueAt + 5 + buffer.readUInt32LE(valueAt + 1));
      fields[name] = type === TEXT ? text : (JSON.parse(text) as AttributeValue);
    } else fields[name] = type === TRUE;
    at = afterValue(buffer, valueAt);
  }
  return fields;
}

function afterValue(buffer: Buffer, at: number): number {
  const type = buffer[at];
  if (type === NUMBER) return at + 9;
  return type === TEXT || type === LIST ? at + 5 + buffer.readUInt32LE(at + 1) : at + 1;
}

/** A field's number; NaN when the row has none. */
function numberIn(buffer: Buffer, start: number, end: number, name: Buffer): number {
  for (let at = start + ID + buffer.readUInt16LE(start + ID_LENGTH); at < end; ) {
    const length = buffer.readUInt16LE(at);
    const valueAt = at + 2 + length;
    if (length === name.length && isText(buffer, at + 2, name)) {
      const type = buffer[valueAt] as number;
      return type === NUMBER ? buffer.readDoubleLE(valueAt + 1) : type <= TRUE ? type : Number.NaN;
    }
    at = afterValue(buffer, valueAt);
  }
  return Number.NaN;
}

function isText(buffer: Buffer, from: number, text: Buffer): boolean {
  for (let at = text.length - 1; at >= 0; at--) if (buffer[from + at] !== text[at]) return false;
  return true;
}

/** Rows of one buffer as columns, shared by all lists over them. */
export class RowColumns {
  readonly times: readonly number[];
  readonly #buffer: Buffer;
  readonly #starts: readonly number[];
  readonly #ends: readonly number[];
  readonly #numbers = new Map<string, number[]>();

  private constructor(
    buffer: Buffer,
    times: readonly number[],
    starts: readonly number[],
    ends: readonly number[],
  ) {
    this.times = times;
    this.#buffer = buffer;
    this.#starts = starts;
    this.#ends = ends;
  }

  /** The consecutive rows in a part of a buffer. Throws RangeError when the part is damaged. */
  static ofPart(buffer: Buffer, from: number, until: number): RowColumns {
    const [times, starts, ends]: [number[], number[], number[]] = [[], [], []];
    for (let start = from; start < until; ) {
      const end = rowEnd(buffer, start, until);
      times.push(buffer.readDoubleLE(start + AT));
      starts.push(start);
      ends.push(end);
      start = end;
    }
    return new RowColumns(buffer, times, starts, ends);
  }

  static ofRows(buffer: Buffer, rows: readonly Row[]): RowColumns {
    return new RowColumns(
      buffer,
      rows.map(({ atMs }) => atMs),
      rows.map(({ start }) => start),
      rows.map(({ end }) => end),
    );
  }

  numbers(field: string): readonly number[] {
    const known = this.#numbers.get(field);
    if (known !== undefined) return known;
    const name = Buffer.from(field);
    const numbers: number[] = [];
    for (let index = 0; index < this.times.length; index++)
      numbers.push(numberIn(this.#buffer, this.#starts[index] as number, this.#ends[index] as number, name));
    this.#numbers.set(field, numbers);
    return numbers;
  }

  row(index: number): Row {
    const [start, end] = [this.#starts[index] as number, this.#ends[index] as number];
    return {
      ...{ buffer: this.#buffer, start, end },
      ...{ atMs: this.times[index] as number, arrivalUs: this.#buffer.readDoubleLE(start + ARRIVAL) },
    };
  }
}
