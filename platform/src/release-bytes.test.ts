import { describe, expect, it } from 'vitest';
import { releaseBytes } from './release-bytes.ts';

describe('releasing bytes', () => {
  it('frees memory of their own, and keeps memory that is shared', () => {
    const own = Buffer.allocUnsafeSlow(64 * 1024 * 1024).fill(1);
    const before = process.memoryUsage().arrayBuffers;
    releaseBytes(own);
    expect(own.length).toBe(0);
    expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThan(60 * 1024 * 1024);

    const whole = new Uint8Array(10).fill(7);
    releaseBytes(whole.subarray(2));
    expect(whole).toEqual(new Uint8Array(10).fill(7));
    releaseBytes(new Uint8Array(new SharedArrayBuffer(8)));
  });
});
