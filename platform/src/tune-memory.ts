import { setFlagsFromString } from 'node:v8';

/** For services: memory outside the heap, such as the bytes of requests, counts towards the heap's own limits. */
export const MEMORY_FLAGS: readonly string[] = [
  // Room for what lives as long as a request, in MiB: with the default a busy service spends a seventh of its time on it.
  '--max-semi-space-size=32',
  // Below this, in MiB, the old part of the heap is not collected at all.
  '--initial-heap-size=128',
];

/**
 * The runtime marks its whole heap each time another 64 MiB of buffers were made, and a service that is sent large tensors
 * makes them within a second: it then spent half its time marking. Counted towards the heap's own limit, buffers
 * are collected with the young. Needs MEMORY_FLAGS at the start of the process; a runtime that does not know this flag
 * says so and goes on.
 */
export function countBuffersAsHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}
