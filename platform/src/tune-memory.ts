import { setFlagsFromString } from 'node:v8';

const FLAGS = [
  /**
   * By default V8 starts a full garbage collection each time another 64 MiB of buffers were allocated, which a
   * service with large tensors does within a second: it then spent half its time marking. With this flag, buffers
   * count towards the heap's own limit and are freed by minor collections.
   */
  '--external-memory-accounted-in-global-limit',
  /**
   * When many objects of one allocation site survive, V8 eventually decides, permanently, to allocate that site's
   * objects directly in the old generation (pretenuring). In a service this happens to objects of calls in flight:
   * afterwards a quarter of the memory of each call stays until the next major collection, because something old
   * references it. See docs/decisions/0009.
   */
  '--no-allocation-site-pretenuring',
  /**
   * A major collection runs when the old generation has doubled since the last one. V8's own choice ranges from 10 %
   * growth, with a pause every three seconds, to a factor of four, with pauses of a quarter of a second: the headers
   * of HTTP/2 calls are allocated in the old generation, and a pause grows with their number.
   */
  '--heap-growing-percent=100',
] as const;

/** Call first in a service's process. Flags that this version of Node does not know are reported and ignored. */
export function tuneMemory(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
