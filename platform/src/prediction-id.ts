import { randomFillSync } from 'node:crypto';

const PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const POOL_BYTES = 10 * 1024;

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Makes prediction ids: UUIDv7 (RFC 9562), 48 bits of milliseconds since 1970 and 74 random bits. */
export interface PredictionIds {
  next(nowMs: number): string;
}

/** Ids from the system's random source, drawn in blocks because a draw costs more than the rest. */
export function randomPredictionIds(
  fill: (bytes: Uint8Array) => void = (bytes) => randomFillSync(bytes),
): PredictionIds {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    next(nowMs) {
      if (used + 10 > POOL_BYTES) {
        fill(pool);
        used = 0;
      }
      const random = pool.subarray(used, used + 10);
      used += 10;
      return format(nowMs, random);
    },
  };
}

function format(nowMs: number, random: Uint8Array): string {
  const time = Math.floor(nowMs).toString(16).padStart(12, '0');
  const hex = (index: number) => HEX[random[index] ?? 0] ?? '00';
  const version = `7${((random[0] ?? 0) & 0x0f).toString(16)}${hex(1)}`;
  const variant = `${(0x80 | ((random[2] ?? 0) & 0x3f)).toString(16)}${hex(3)}`;
  const node = hex(4) + hex(5) + hex(6) + hex(7) + hex(8) + hex(9);
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${node}`;
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
  return format(ms, new Uint8Array(10));
}

/** A prediction's trace id is its own id without the dashes: one id ties everything. */
export function traceIdOf(predictionId: string): string {
  return predictionId.replaceAll('-', '');
}
