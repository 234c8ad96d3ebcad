import { setFlagsFromString } from 'node:v8';

const FLAGS = [
  /**
   * The runtime marks its whole heap each time another 64 MiB of buffers were made, and a service that is sent large tensors
   * makes them within a second: it then spent half its time marking. Counted towards the heap's own limit, buffers
   * are collected with the young.
   */
  '--external-memory-accounted-in-global-limit',
  /**
   * Where much outlives a collection, the runtime decides at some point, and for good, to make the objects of that place in the code
   * old from the start. A service takes what calls in flight hold for such: from then on a quarter of all that belongs to a call
   * stays until the old are collected, because something old points to it. See docs/decisions/0009.
   */
  '--no-allocation-site-pretenuring',
  /**
   * The old are collected when they take twice what was left of them last. By itself the runtime chooses between a tenth more, and pauses
   * every three seconds, and four times as much, and pauses of a quarter of a second: headers of HTTP/2 calls are old from the start, and
   * a pause takes as long as there are many.
   */
  '--heap-growing-percent=100',
] as const;

/** To be called first in a service's process. A runtime that does not know one of the flags says so and goes on. */
export function tuneMemory(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
