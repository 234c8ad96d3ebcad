import { setTimeout as delay } from 'node:timers/promises';

/** Polls until the condition holds. Throws after `ms`. */
export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  ms = 60_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await look())) {
    if (performance.now() > end) throw new Error(`${what} did not come about within ${ms / 1000} s`);
    await delay(20);
  }
}
