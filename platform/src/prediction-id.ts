import { randomFillSync } from 'node:crypto';

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** Four digits whose two highest bits are 10. */
const VARIANTS = ['8', '9', 'a', 'b'];
/** Random bits for 512 ids. */
const POOL_BYTES = 10 * 512;
const POOL_DIGITS = POOL_BYTES * 2;
const DIGITS_OF_ID = 20;

/** Makes prediction ids: UUIDv7 (RFC 9562), 48 bits of milliseconds since 1970 and 74 random bits. */
export interface PredictionIds {
  next(nowMs: number): string;
}

/** Ids from the system's random source, drawn in blocks because a draw costs more than the rest. */
export function randomPredictionIds(
  fill: (bytes: Uint8Array) => void = (bytes) => randomFillSync(bytes),
): PredictionIds {
  const pool = Buffer.alloc(POOL_BYTES);
  let digits = '';
  let used = POOL_DIGITS;
  let time = Number.NaN;
  let start = '';
  return {
    next(nowMs) {
      if (used === POOL_DIGITS) {
        fill(pool);
        digits = pool.toString('hex');
        used = 0;
      }
      // Many ids are made in one millisecond.
      if (nowMs !== time) {
        time = nowMs;
        start = startOf(nowMs);
      }
      const at = used;
      used += DIGITS_OF_ID;
      return start + endOf(digits, at);
    },
  };
}

/** Time and version: the first fifteen characters. */
function startOf(ms: number): string {
  const time = Math.floor(ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7`;
}

/** The rest, from twenty random digits. */
function endOf(digits: string, at: number): string {
  const variant = VARIANTS[Number.parseInt(digits[at + 3] ?? '0', 16) & 3] ?? '8';
  return `${digits.slice(at, at + 3)}-${variant}${digits.slice(at + 4, at + 7)}-${digits.slice(at + 8, at + 20)}`;
}

/** True for the text form of a UUIDv7 in lower case. */
export function isPredictionId(text: string): boolean {
  return PATTERN.test(text);
}

/** Milliseconds since 1970 that an id was made at. */
export function predictionTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The smallest id of a moment; ids sort by time, so a range of ids is a range of time. */
export function firstPredictionIdAt(ms: number): string {
  return startOf(ms) + endOf('0'.repeat(DIGITS_OF_ID), 0);
}

/** A prediction's trace id is its own id without the dashes: one id ties everything. */
export function traceIdOf(predictionId: string): string {
  return predictionId.replaceAll('-', '');
}
