import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient, Prediction } from '@hotloop/client';
import { DRILL_MODEL } from './drill-models.ts';

/** One request. Times in milliseconds on the monotonic clock. */
export interface Asked {
  readonly x: number;
  readonly dueAt: number;
  readonly answeredAt: number;
  /** Null when it failed. */
  readonly prediction: Prediction | null;
  readonly error: string;
}

export interface Asking {
  /** All answers and failures so far, in order of arrival. */
  readonly answers: readonly Asked[];
  /** Stops sending; resolves when all have been answered. */
  stop(): Promise<void>;
}

/**
 * Sends predictions at a steady rate, whether or not earlier ones were answered, without retries. Every request has
 * its own user and an x from -1 to 1.
 */
export function askSteadily(client: HotloopClient, perSecond: number): Asking {
  const answers: Asked[] = [];
  const calls = new Set<Promise<void>>();
  let isOver = false;
  const running = (async () => {
    const start = performance.now();
    for (let index = 0; !isOver; index++) {
      const dueAt = start + (index * 1000) / perSecond;
      const wait = dueAt - performance.now();
      if (wait > 0) await delay(wait);
      const x = Math.sin(index * 1.7);
      const call = ask(client, index, x, dueAt).then((asked) => {
        answers.push(asked);
        calls.delete(call);
      });
      calls.add(call);
    }
    await Promise.all(calls);
  })();
  return {
    answers,
    async stop() {
      isOver = true;
      await running;
    },
  };
}

async function ask(client: HotloopClient, index: number, x: number, dueAt: number): Promise<Asked> {
  try {
    const prediction = await client.predict(DRILL_MODEL, { user: `user-${index}`, request: { x } });
    return { x, dueAt, answeredAt: performance.now(), prediction, error: '' };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { x, dueAt, answeredAt: performance.now(), prediction: null, error: text };
  }
}
