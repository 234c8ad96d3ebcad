import { setTimeout as delay } from 'node:timers/promises';
import type { HotloopClient, PredictInput } from '@hotloop/client';
import { quantile } from '../interleave.ts';

/** One prediction, as its caller saw it. Times are `performance.now()`. */
export interface AskedPrediction {
  readonly dueAt: number;
  readonly doneAt: number;
  /** Absent if it failed. */
  readonly answer?: {
    readonly id: string;
    readonly version: number;
    readonly score: number | undefined;
    readonly degraded: readonly string[];
  };
  /** Code and message if it failed. */
  readonly failure?: string;
}

export interface SteadyLoad {
  /** All that have ended so far. */
  readonly asked: readonly AskedPrediction[];
  /** Number of predictions in flight. */
  readonly open: number;
  /** Starts no more; resolves when all have ended. */
  stop(): Promise<readonly AskedPrediction[]>;
}

export interface SteadyLoadOptions {
  readonly client: Pick<HotloopClient, 'predict'>;
  readonly model: string;
  readonly perSecond: number;
  readonly input?: (index: number) => PredictInput;
}

/**
 * Sends requests at a steady rate, however fast they are answered, and records each answer. After a pause of this
 * process it catches up for at most one second.
 */
export function steadyLoad({ client, model, perSecond, input }: SteadyLoadOptions): SteadyLoad {
  const asked: AskedPrediction[] = [];
  const open = new Set<Promise<void>>();
  let stopped = false;
  const one = async (index: number, dueAt: number) => {
    try {
      const { predictionId, version, score, degraded } = await client.predict(
        model,
        input?.(index) ?? { user: `u${index % 100}`, request: { price: index % 10 } },
      );
      asked.push({
        dueAt,
        doneAt: performance.now(),
        answer: { id: predictionId, version, score, degraded },
      });
    } catch (error) {
      asked.push({ dueAt, doneAt: performance.now(), failure: String(error) });
    }
  };
  const running = (async () => {
    let start = performance.now();
    for (let index = 0; !stopped; index++) {
      const due = start + (index * 1000) / perSecond;
      const wait = due - performance.now();
      if (wait > 0) await delay(wait);
      else if (wait < -1000) start -= wait;
      const call = one(index, Math.max(due, performance.now() - 1000));
      open.add(call);
      void call.finally(() => open.delete(call));
    }
  })();
  return {
    asked,
    get open() {
      return open.size;
    },
    async stop() {
      stopped = true;
      await running;
      await Promise.all(open);
      return asked;
    },
  };
}

/** Those due from `from` until before `until`. */
export function between(asked: readonly AskedPrediction[], from: number, until: number): AskedPrediction[] {
  return asked.filter(({ dueAt }) => dueAt >= from && dueAt < until);
}

export function answeredShare(asked: readonly AskedPrediction[]): number {
  return asked.length === 0 ? 0 : asked.filter(({ answer }) => answer).length / asked.length;
}

export function p99Ms(asked: readonly AskedPrediction[]): number {
  return quantile(
    asked.map(({ dueAt, doneAt }) => doneAt - dueAt),
    0.99,
  );
}

const STEP_MS = 50;

/**
 * Milliseconds from a failure at `at` to the start of the first second in which at least 90 % of `perSecond` were
 * answered; infinite if there is none. Goodput counts an answer when it arrives.
 */
export function recoveryMs(asked: readonly AskedPrediction[], at: number, perSecond: number): number {
  const done = asked.flatMap(({ answer, doneAt }) => (answer ? [doneAt] : [])).sort((a, b) => a - b);
  const last = done.at(-1) ?? at;
  for (let from = at; from + 1000 <= last + STEP_MS; from += STEP_MS) {
    const answered = done.filter((time) => time >= from && time < from + 1000).length;
    if (answered >= 0.9 * perSecond) return from - at;
  }
  return Number.POSITIVE_INFINITY;
}
