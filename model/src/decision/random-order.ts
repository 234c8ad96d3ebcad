import { createHash } from 'node:crypto';

/** Numbers in [0, 1), the same for the same seed. */
export interface SeededRandom {
  next(): number;
}

/**
 * A generator seeded by a text, so that a repeated prediction gets the same decision. The seed is hashed (SHA-256),
 * because callers choose the ids, which may be very similar. The generator is xoshiro128** (Blackman and Vigna,
 * 2018), 53 bits per number.
 */
export function seededRandom(seed: string): SeededRandom {
  const digest = createHash('sha256').update(seed).digest();
  const state = Uint32Array.from([0, 4, 8, 12], (offset) => digest.readUInt32LE(offset));
  // The all-zero state is the only one that the generator cannot leave.
  if (state.every((word) => word === 0)) state[0] = 1;
  return { next: () => ((nextWord(state) >>> 5) * 2 ** 26 + (nextWord(state) >>> 6)) * 2 ** -53 };
}

function nextWord(state: Uint32Array): number {
  const [a = 0, b = 0, c = 0, d = 0] = state;
  const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
  const third = c ^ a;
  const fourth = d ^ b;
  state[0] = a ^ fourth;
  state[1] = b ^ third;
  state[2] = third ^ (b << 9);
  state[3] = rotate(fourth, 11);
  return result;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/**
 * Moves a uniformly random choice of `count` elements, in uniformly random order, to the front (Fisher-Yates
 * shuffle).
 */
export function shuffleFront(order: Uint32Array, count: number, random: SeededRandom): void {
  for (let at = 0; at < Math.min(count, order.length - 1); at++) {
    const other = at + Math.floor(random.next() * (order.length - at));
    const moved = order[at] as number;
    order[at] = order[other] as number;
    order[other] = moved;
  }
}
