import { randomFillSync } from 'node:crypto';

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Digits whose two highest bits are 10. */
const VARIANTS = Buffer.from('89ab', 'latin1');
const RANDOM_BYTES = 10;
const IDS_AT_ONCE = 512;

/** Generates prediction ids: UUIDv7 (RFC 9562), 48 bits of milliseconds since 1970 and 74 random bits. */
export interface PredictionIds {
  next(nowMs: number): string;
}

/**
 * Ids from the system's random source, read in blocks because a read costs more than the rest. Each id is written as
 * bytes and converted to one string: a string concatenated from pieces would be flattened at its first use, at four
 * times the cost.
 */
export function randomPredictionIds(
  fill: (bytes: Uint8Array) => void = (bytes) => randomFillSync(bytes),
): PredictionIds {
  const pool = Buffer.alloc(RANDOM_BYTES * IDS_AT_ONCE);
  const text = Buffer.from(firstPredictionIdAt(0), 'latin1');
  let used = pool.length;
  let time = Number.NaN;
  return {
    next(nowMs) {
      if (used === pool.length) {
        fill(pool);
        used = 0;
      }
      // Many ids are created in one millisecond.
      if (nowMs !== time) {
        time = nowMs;
        text.write(startOf(nowMs), 'latin1');
      }
      writeEnd(pool, used, text);
      used += RANDOM_BYTES;
      return text.toString('latin1');
    },
  };
}

/**
 * The id for a time and ten bytes: the same arguments give the same id, so that a duplicate message is one
 * prediction.
 */
export function predictionIdOf(ms: number, bytes: Uint8Array): string {
  const text = Buffer.from(firstPredictionIdAt(ms), 'latin1');
  writeEnd(bytes, 0, text);
  return text.toString('latin1');
}

/** Time and version: the first fifteen characters. */
function startOf(ms: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7`;
}

/** The rest, from ten random bytes. */
function writeEnd(random: Uint8Array, from: number, text: Buffer): void {
  const [a = 0, b = 0, c = 0, d = 0] = [random[from], random[from + 1], random[from + 2], random[from + 3]];
  text[15] = digit(a);
  writeByte(b, text, 16);
  text[19] = VARIANTS[(a >> 4) & 3] ?? 0;
  text[20] = digit(d);
  writeByte(c, text, 21);
  for (let byte = 4; byte < RANDOM_BYTES; byte++) writeByte(random[from + byte] ?? 0, text, 16 + byte * 2);
}

function writeByte(byte: number, text: Buffer, at: number): void {
  text[at] = digit(byte >> 4);
  text[at + 1] = digit(byte);
}

function digit(value: number): number {
  return DIGITS[value & 15] ?? 0;
}

/** True for the text form of a UUIDv7 in lower case. */
export function isPredictionId(text: string): boolean {
  return PATTERN.test(text);
}

/** The time in an id, in milliseconds since 1970. */
export function predictionTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/**
 * Maximum age, and maximum time in the future, of an id that a caller generated: the log is partitioned by the day in
 * the id.
 */
const MAX_AGE_MS = 24 * 3_600_000;
const MAX_AHEAD_MS = 5 * 60_000;

/** The problem of an id that a caller generated; undefined when it is valid. */
export function predictionIdProblem(id: string, nowMs: number): string | undefined {
  if (!isPredictionId(id)) return 'must be a UUIDv7 in lower case, or be left empty';
  const madeAt = predictionTimeMs(id);
  if (madeAt < nowMs - MAX_AGE_MS) return 'was created more than 24 hours ago; create a new one';
  if (madeAt > nowMs + MAX_AHEAD_MS)
    return 'is more than 5 minutes in the future; check the clock of the machine that created it';
  return undefined;
}

/** The smallest id for a time; ids sort by time, so a range of ids is a range of time. */
export function firstPredictionIdAt(ms: number): string {
  return `${startOf(ms)}000-8000-000000000000`;
}

/** A prediction's trace id is its own id without dashes, so that one id connects everything. */
export function traceIdOf(predictionId: string): string {
  return predictionId.replaceAll('-', '');
}
