import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';

export interface OpenLoadOptions {
  readonly perSecond: number;
  readonly seconds: number;
  /** Determines the arrivals. */
  readonly seed: number;
  /** Sends one request; the number counts from 0. Resolves with its answer. */
  readonly send: (index: number) => Promise<unknown>;
}

/** One request of an open load. Times in milliseconds on the monotonic clock. */
export interface Arrival {
  readonly dueAt: number;
  readonly latencyMs: number;
  readonly error: string | null;
}

/** Arrivals are moved up to the next whole tick, so that the timer's resolution does not count as latency. */
const TICK_MS = 1;

/**
 * Requests of a Poisson process, sent whether or not earlier ones have been answered, so a slow server gets no
 * relief. The latency counts from when the request was due. Resolves when all have been answered or rejected.
 */
export async function openLoad(options: OpenLoadOptions): Promise<Arrival[]> {
  const random = new SeededRandom(options.seed);
  const arrivals: Arrival[] = [];
  let inFlight = 0;
  let onAllAnswered: (() => void) | undefined;
  const start = performance.now();
  const end = start + options.seconds * 1000;
  const gap = () => (-Math.log(1 - random.uniform()) * 1000) / options.perSecond;
  let next = start + gap();
  let index = 0;
  while (next < end) {
    await tick();
    const now = performance.now();
    for (; next <= now && next < end; next += gap()) {
      const dueAt = start + Math.ceil((next - start) / TICK_MS) * TICK_MS;
      inFlight++;
      void answer(options.send(index++), dueAt).then((arrival) => {
        arrivals.push(arrival);
        inFlight--;
        if (inFlight === 0) onAllAnswered?.();
      });
    }
  }
  if (inFlight > 0)
    await new Promise<void>((resolve) => {
      onAllAnswered = resolve;
    });
  return arrivals;
}

function tick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, TICK_MS));
}

async function answer(sent: Promise<unknown>, dueAt: number): Promise<Arrival> {
  try {
    await sent;
    return { dueAt, latencyMs: Math.max(0, performance.now() - dueAt), error: null };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { dueAt, latencyMs: Math.max(0, performance.now() - dueAt), error: text };
  }
}
