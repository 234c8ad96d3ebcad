import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 10 * 1024;

/** Makes prediction ids: UUIDv7 (RFC 9562), 48 bits of milliseconds since 1970 and 74 random bits. */
export interface PredictionIdSource {
  next(nowMs: number): string;
}

/** Ids from the system's random source, drawn in blocks because a draw costs more than the rest. */
export function predictionIdSource(
  fill: (bytes: Uint8Array) => void = (bytes) => randomFillSync(bytes),
): PredictionIdSource {
  const pool = Buffer.alloc(POOL_BYTES);
  let used = POOL_BYTES;
  return {
    next(nowMs) {
      if (used + 10 > POOL_BYTES) {
        fill(pool);
        used = 0;
      }
      pool[used] = 0x70 | (pool[used]! & 0x0f);
      pool[used + 2] = 0x80 | (pool[used + 2]! & 0x3f);
      const random = pool.toString('hex', used, used + 10);
      used += 10;
      const time = Math.floor(nowMs).toString(16).padStart(12, '0');
      return `${time.slice(0, 8)}-${time.slice(8)}-${random.slice(0, 4)}-${random.slice(4, 8)}-${random.slice(8)}`;
    },
  };
}
