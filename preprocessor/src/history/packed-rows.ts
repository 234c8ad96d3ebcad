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

/** Encodes an event as a row. */
export function packRow({ id, atMs, arrivalUs, fields }: HistoryEvent & { readonly arrivalUs: number }): Row {
  const names = Object.keys(fields);
  let length = ID + Buffer.byteLength(id);
  const lists: string[] = [];
  for (const name of names) {
    const value = fields[name] as AttributeValue;
    length += 3 + Buffer.byteLength(name);
    if (typeof value === 'number') length += 8;
    else if (typeof value === 'string') length += 4 + Buffer.byteLength(value);
    else if (typeof value === 'object') {
      const list = JSON.stringify(value);
      length += 4 + Buffer.byteLength(list);
      lists.push(list);
    }
  }
  const buffer = Buffer.allocUnsafe(length);
  buffer.writeUInt32LE(length, 0);
  buffer.writeDoubleLE(atMs, AT);
  buffer.writeDoubleLE(arrivalUs, ARRIVAL);
  let at = ID + buffer.write(id, ID);
  buffer.writeUInt16LE(at - ID, ID_LENGTH);
  let list = 0;
  for (const name of names) {
    const value = fields[name] as AttributeValue;
    const written = buffer.write(name, at + 2);
    buffer.writeUInt16LE(written, at);
    at += 2 + written;
    if (typeof value === 'boolean') buffer[at++] = value ? TRUE : FALSE;
    else if (typeof value === 'number') {
      buffer[at] = NUMBER;
      at = buffer.writeDoubleLE(value, at + 1);
    } else {
      buffer[at] = typeof value === 'string' ? TEXT : LIST;
      const bytes = buffer.write(typeof value === 'string' ? value : (lists[list++] as string), at + 5);
      buffer.writeUInt32LE(bytes, at + 1);
      at += 5 + bytes;
    }
  }
  return { atMs, arrivalUs, buffer, start: 0, end: length };
}

/** The consecutive rows in a part of a buffer. Throws RangeError when the part is damaged. */
export function rowsOf(buffer: Buffer, from: number, until: number): Row[] {
  const rows: Row[] = [];
  for (let start = from; start < until; ) {
    const end = start + buffer.readUInt32LE(start);
    if (end < start + ID || end > until) throw new RangeError(DAMAGED);
    const atMs = buffer.readDoubleLE(start + AT);
    rows.push({ atMs, arrivalUs: buffer.readDoubleLE(start + ARRIVAL), buffer, start, end });
    start = end;
  }
  return rows;
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

/** Rows of a part of a buffer as columns, shared by all lists over them. Throws RangeError when they are damaged. */
export class RowColumns {
  readonly times: readonly number[];
  readonly #buffer: Buffer;
  /** Start offset of each row, and the end of the last one. */
  readonly #starts: readonly number[];
  readonly #numbers = new Map<string, number[]>();

  constructor(buffer: Buffer, from: number, until: number) {
    const times: number[] = [];
    const starts = [from];
    for (let start = from; start < until; ) {
      const end = start + buffer.readUInt32LE(start);
      if (end < start + ID || end > until) throw new RangeError(DAMAGED);
      times.push(buffer.readDoubleLE(start + AT));
      starts.push(end);
      start = end;
    }
    this.times = times;
    this.#buffer = buffer;
    this.#starts = starts;
  }

  numbers(field: string): readonly number[] {
    const known = this.#numbers.get(field);
    if (known !== undefined) return known;
    const name = Buffer.from(field);
    const numbers: number[] = [];
    for (let index = 0; index < this.times.length; index++)
      numbers.push(
        numberIn(this.#buffer, this.#starts[index] as number, this.#starts[index + 1] as number, name),
      );
    this.#numbers.set(field, numbers);
    return numbers;
  }

  row(index: number): Row {
    const [start, end] = [this.#starts[index] as number, this.#starts[index + 1] as number];
    return {
      ...{ buffer: this.#buffer, start, end },
      ...{ atMs: this.times[index] as number, arrivalUs: this.#buffer.readDoubleLE(start + ARRIVAL) },
    };
  }
}
