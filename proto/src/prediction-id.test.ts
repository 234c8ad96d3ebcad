import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  firstPredictionIdAt,
  isPredictionId,
  predictionTimeMs,
  randomPredictionIds,
} from './prediction-id.ts';

describe('a prediction id', () => {
  it('is a unique UUIDv7 with its time of creation', () => {
    const ids = randomPredictionIds();
    const made = new Set<string>();
    for (let count = 0; count < 5000; count++) {
      const ms = 1_790_000_000_000 + (count >> 3);
      const id = ids.next(ms + 0.75);
      expect(isPredictionId(id)).toBe(true);
      expect(predictionTimeMs(id)).toBe(ms);
      expect(firstPredictionIdAt(ms) <= id && id < firstPredictionIdAt(ms + 1)).toBe(true);
      made.add(id);
    }
    expect(made.size).toBe(5000);
  });

  it('contains each given bit once', () => {
    const bytes = [0x1a, 0x23, 0x45, 0xc6, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12];
    const ids = randomPredictionIds((into) => {
      for (let index = 0; index < into.length; index++) into[index] = bytes[index % 10] ?? 0;
    });
    // The first byte gives its lower half and, of the upper half, the two bits after the variant.
    expect(ids.next(0x0123456789ab)).toBe('01234567-89ab-7a23-9645-789abcdef012');
    expect(ids.next(0)).toBe('00000000-0000-7a23-9645-789abcdef012');
  });

  it('has uniformly random bits in all random positions', () => {
    const ids = randomPredictionIds();
    const set = new Array<number>(128).fill(0);
    const count = 4000;
    for (let made = 0; made < count; made++) {
      const bits = BigInt(`0x${ids.next(0).replaceAll('-', '')}`);
      for (let bit = 0; bit < 128; bit++) if ((bits >> BigInt(127 - bit)) & 1n) set[bit]!++;
    }
    const fixed = new Map([...[0, 1, 1, 1].entries()].map(([index, value]) => [48 + index, value]));
    fixed.set(64, 1).set(65, 0);
    for (let bit = 48; bit < 128; bit++) {
      const value = fixed.get(bit);
      if (value !== undefined) expect(set[bit], `bit ${bit}`).toBe(value * count);
      else expect(Math.abs(set[bit]! / count - 0.5), `bit ${bit}`).toBeLessThan(0.06);
    }
  });

  it('sorts by time', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 44), fc.nat(2 ** 44), (one, other) => {
        expect(firstPredictionIdAt(one) < firstPredictionIdAt(other)).toBe(one < other);
      }),
    );
  });
});
