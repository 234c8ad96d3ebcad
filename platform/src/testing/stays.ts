import { expect } from 'vitest';

const LOOK_MS = 20;

/**
 * Checks again and again for `ms` milliseconds that something stays as it is. For what must not happen: what must happen is
 * waited for with `expect.poll`.
 */
export async function stays<T>(ms: number, look: () => T | Promise<T>, wanted: T): Promise<void> {
  for (const endsAt = performance.now() + ms; performance.now() < endsAt; ) {
    expect(await look()).toEqual(wanted);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
