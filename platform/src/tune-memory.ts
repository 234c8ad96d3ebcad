import { setFlagsFromString } from 'node:v8';

/**
 * The runtime marks its whole heap each time another 64 MiB of buffers were made, and a service that is sent large tensors
 * makes them within a second: it then spent half its time marking. Counted towards the heap's own limit, buffers
 * are collected with the young. A runtime that does not know this flag says so and goes on.
 */
export function countBuffersAsHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
