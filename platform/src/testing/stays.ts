import { expect } from 'vitest';

const LOOK_MS = 20;

/**
 * Checks repeatedly for `ms` milliseconds that something stays as it is. Use it for what must not happen; use
 * `expect.poll` to wait for what must happen.
 */
export async function stays<T>(ms: number, look: () => T | Promise<T>, wanted: T): Promise<void> {
  for (const endsAt = performance.now() + ms; performance.now() < endsAt; ) {
    expect(await look()).toEqual(wanted);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
