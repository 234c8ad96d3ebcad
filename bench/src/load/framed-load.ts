import type { Sample } from '../interleave.ts';
import type { RawLoad } from './raw-load.ts';

/** An encoded item of a frame, with the positions that differ from one item to the next. */
export interface FramedItem {
  /** The item with its tag and length, as in the frame. */
  readonly bytes: Buffer;
  /** Offset of the four bytes of the sequence's varint. */
  readonly sequenceAt: number;
  /** Offset of the last eight digits of the prediction id; undefined when the server generates the id. */
  readonly idAt: number | undefined;
}

export interface FramedShape {
  readonly streams: number;
  /** Items in flight on each stream. */
  readonly window: number;
}

/** Sequences from here on take four bytes as a varint. */
const FIRST_SEQUENCE = 2 ** 21;
const LAST_SEQUENCE = 2 ** 28 - 1;
const ANSWER_MS = 10_000;
const ITEMS_TAG = 0x0a;
/** Field 3 of a reply item, in every service: the failure. */
const FAILURE_TAG = 0x1a;

/**
 * Drives a framed stream with prepared items, like a client that sends all its items in one frame: each turn, as many
 * new items as were answered. Counts items. Rejects when one fails.
 */
export async function framedLoad(
  load: RawLoad,
  path: string,
  item: FramedItem,
  shape: FramedShape,
  seconds: number,
): Promise<Sample> {
  const start = performance.now();
  const end = start + seconds * 1000;
  const counts = await Promise.all(
    Array.from({ length: shape.streams }, (_, index) =>
      runStream(load, path, item, shape.window, end, index),
    ),
  );
  const answered = counts.reduce((sum, count) => sum + count, 0);
  const elapsed = performance.now() - start;
  return { perSecond: (answered * 1000) / elapsed, p50Ms: Number.NaN, p99Ms: Number.NaN };
}

function runStream(
  load: RawLoad,
  path: string,
  item: FramedItem,
  window: number,
  end: number,
  index: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = load.open(path, end - performance.now() + ANSWER_MS);
    const frames = new FrameMaker(item, index);
    let inFlight = 0;
    let answered = 0;
    let credit = 0;
    let scheduled = false;
    const send = () => {
      scheduled = false;
      if (performance.now() < end) {
        stream.write(frames.next(credit));
        inFlight += credit;
        credit = 0;
      } else if (inFlight === 0) stream.end();
    };
    stream.on('data', (frame: Buffer) => {
      const count = countAnswers(frame);
      if (count < 0) {
        stream.cancel();
        reject(new Error(`${path} answered with a failure: ${frame.toString('latin1').slice(0, 200)}`));
        return;
      }
      answered += count;
      inFlight -= count;
      credit += count;
      if (!scheduled) {
        scheduled = true;
        setImmediate(send);
      }
    });
    stream.on('end', () => resolve(answered));
    stream.on('error', reject);
    credit = window;
    send();
  });
}

/** Creates frames by copying the item and writing its sequence and the end of its id into the copy. */
export class FrameMaker {
  readonly #item: FramedItem;
  #sequence = FIRST_SEQUENCE;
  #id: number;

  constructor(item: FramedItem, stream: number) {
    this.#item = item;
    this.#id = (Math.floor(Math.random() * 2 ** 24) * 256 + stream) >>> 0;
  }

  /** Sequence of the next item. */
  get nextSequence(): number {
    return this.#sequence;
  }

  next(items: number): Buffer {
    const { bytes, sequenceAt, idAt } = this.#item;
    const frame = Buffer.allocUnsafe(bytes.length * items);
    for (let count = 0, at = 0; count < items; count++, at += bytes.length) {
      bytes.copy(frame, at);
      const sequence = this.#sequence++;
      if (this.#sequence > LAST_SEQUENCE) this.#sequence = FIRST_SEQUENCE;
      frame[at + sequenceAt] = (sequence & 0x7f) | 0x80;
      frame[at + sequenceAt + 1] = ((sequence >>> 7) & 0x7f) | 0x80;
      frame[at + sequenceAt + 2] = ((sequence >>> 14) & 0x7f) | 0x80;
      frame[at + sequenceAt + 3] = (sequence >>> 21) & 0x7f;
      if (idAt !== undefined) {
        this.#id = (this.#id + 0x9e3779b1) >>> 0;
        writeHex(frame, at + idAt, this.#id);
      }
    }
    return frame;
  }
}

function writeHex(frame: Buffer, at: number, value: number): void {
  for (let digit = 0; digit < 8; digit++) {
    const nibble = (value >>> (28 - digit * 4)) & 0xf;
    frame[at + digit] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble;
  }
}

/** Number of items that a reply frame answers; -1 when one of them is a failure. */
export function countAnswers(frame: Buffer): number {
  let count = 0;
  for (let at = 0; at < frame.length; ) {
    const tag = frame[at++]!;
    const [length, start] = varint(frame, at);
    // The only other field is the flag that the stream should end.
    if (tag !== ITEMS_TAG) {
      at = start;
      continue;
    }
    // An item: tag and varint of the sequence, then the tag of its kind.
    const [, afterSequence] = varint(frame, start + 1);
    if (frame[afterSequence] === FAILURE_TAG) return -1;
    count++;
    at = start + length;
  }
  return count;
}

/** A varint, and the offset of the next field. */
export function varint(bytes: Buffer, from: number): [value: number, next: number] {
  let value = 0;
  let at = from;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}
