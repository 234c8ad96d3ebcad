import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { expect, it } from 'vitest';
import { ModelGate } from './model-gate.ts';

interface Simulated {
  readonly asked: number;
  readonly inTime: number;
  readonly late: number;
  readonly refused: number;
}

/**
 * A server that answers in the order of arrival and ignores deadlines, behind a gate, which alone keeps its queue
 * short. Arrivals are a Poisson process with `load(ms)` per millisecond.
 */
function simulate(
  gate: ModelGate,
  given: { seed: number; perMs: number; timeoutMs: number; fromMs: number; toMs: number },
  load: (nowMs: number) => number,
): Simulated {
  const random = new SeededRandom(given.seed);
  const exponential = (mean: number) => -Math.log(1 - random.uniform()) * mean;
  const waiting: number[] = [];
  const count = { asked: 0, inTime: 0, late: 0, refused: 0 };
  let nextArrival = given.fromMs + exponential(1 / load(given.fromMs));
  let nextEnd = Number.POSITIVE_INFINITY;
  while (nextArrival < given.toMs || waiting.length > 0) {
    if (nextArrival <= nextEnd && nextArrival < given.toMs) {
      const now = nextArrival;
      nextArrival = now + exponential(1 / load(now));
      count.asked++;
      if (gate.retryAfter(given.timeoutMs, now) !== undefined) {
        count.refused++;
        continue;
      }
      gate.enter();
      if (waiting.push(now) === 1) nextEnd = now + exponential(1 / given.perMs);
    } else {
      const now = nextEnd;
      const since = waiting.shift() as number;
      if (now - since <= given.timeoutMs) count.inTime++;
      else count.late++;
      gate.answered(since, given.timeoutMs, now);
      gate.leave();
      nextEnd = waiting.length === 0 ? Number.POSITIVE_INFINITY : now + exponential(1 / given.perMs);
    }
  }
  return count;
}

it.each([
  [10, 500],
  [1, 500],
  [0.2, 1000],
  [20, 50],
])(
  'answers nearly all admitted predictions in time at three times the capacity, %d per ms in %d ms',
  (perMs, timeoutMs) => {
    for (let seed = 1; seed <= 2; seed++) {
      const gate = new ModelGate(0);
      const length = Math.max(10 * timeoutMs, 2000 / perMs);
      const run = { seed, perMs, timeoutMs };
      simulate(gate, { ...run, fromMs: 0, toMs: 4 * timeoutMs + 1000 }, () => 3 * perMs);
      const fromMs = 8 * timeoutMs + 2000;
      const { inTime, late } = simulate(gate, { ...run, fromMs, toMs: fromMs + length }, () => 3 * perMs);
      expect(inTime / (perMs * length), `seed ${seed}`).toBeGreaterThan(0.9);
      expect(late / (inTime + late), `seed ${seed}`).toBeLessThan(0.01);
    }
  },
);

it('rejects nothing below capacity, nor during a short burst', () => {
  const gate = new ModelGate(0);
  const steady = { seed: 4, perMs: 2, timeoutMs: 500, fromMs: 0, toMs: 20_000 };
  expect(simulate(gate, steady, () => 1).refused).toBe(0);
  for (let index = 0; index < 5000; index++) {
    expect(gate.retryAfter(500, 30_000)).toBeUndefined();
    gate.enter();
  }
});

it('admits everything a second after the overload, and long timeouts before short ones', () => {
  const gate = new ModelGate(0);
  const over = { seed: 5, perMs: 1, timeoutMs: 500, fromMs: 0, toMs: 5000 };
  expect(simulate(gate, over, () => 3).refused).toBeGreaterThan(5000);
  for (let index = 0; index < 400; index++) gate.enter();
  expect(gate.retryAfter(100, 5200)).toBeGreaterThan(0);
  expect(gate.retryAfter(60_000, 5200)).toBeUndefined();
  expect(gate.retryAfter(100, 7000)).toBeUndefined();
});

it('rejects nothing during and after a short pause of a model: waiting calls are answered', () => {
  const gate = new ModelGate(0);
  for (let index = 0; index < 300; index++) gate.enter();
  gate.late(1000);
  expect(gate.retryAfter(5000, 1900)).toBeUndefined();
  for (let index = 0; index < 40; index++) {
    gate.answered(0, 5000, 2000);
    gate.leave();
  }
  expect(gate.retryAfter(5000, 2005)).toBeUndefined();
});
