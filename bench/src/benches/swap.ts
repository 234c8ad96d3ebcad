import { setTimeout as delay } from 'node:timers/promises';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import { type Arrival, openLoad } from '../load/open-load.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { OIP, oipRequest } from '../models/oip-request.ts';
import { openComputeBench } from '../stand/compute-bench.ts';
import type { ComputeMemory } from '../stand/compute-child.ts';
import type { ComputeStand } from '../stand/compute-stand.ts';

const CALLERS = 64;
const LOAD = 0.7;
/** The window of a swap ends this long after the switch; the old version drains meanwhile. */
const AFTER_FLIP_MS = 500;
const FIRST_MEASURED = 5;
const DRAINED_MS = 30_000;
/** Load before the first swap, because the memory of a new process still grows. */
const SETTLE_MS = 60_000;
const SETTLE_SHARE = 0.1;
const MEMORY_SAMPLES = 5;
const SAMPLE_MS = 200;
/** Number of parts of the run, each of which gives one ratio. */
const STRETCHES = 5;

interface SwapWindow {
  readonly from: number;
  to: number;
}

/**
 * Swaps the live version repeatedly, as a promotion does (target, ready, switch, the previous version stays warm),
 * while requests without a version arrive at 70 % of the rate of 64 callers, starting some time before the first
 * swap. A request belongs to a swap's window when it was due between the start of the load and half a second after
 * the switch.
 */
export async function swapBench(options: BenchOptions): Promise<Figure[]> {
  const { swaps, minutes, profile, say } = options;
  await using stand = await openComputeBench({ profile });
  const { compute } = stand;
  const model = 'medium';
  await compute.serve(benchPerceptron(model));
  const request = oipRequest(benchPerceptron(model));
  await compute.load.unary(OIP.unary, request, CALLERS, 2);
  const { perSecond } = await compute.load.unary(OIP.unary, request, CALLERS, 5);
  const seconds = minutes * 60;
  const rate = perSecond * LOAD;
  say(`${Math.round(rate)} requests per second for ${seconds} s, ${swaps} swaps`);

  const send = () => compute.load.call(OIP.unary, request);
  const settleMs = Math.min(SETTLE_MS, seconds * 1000 * SETTLE_SHARE);
  const arriving = openLoad({ perSecond: rate, seconds: seconds + settleMs / 1000, seed: 1, send });
  const windows: SwapWindow[] = [];
  const memory: number[] = [];
  const start = performance.now() + settleMs;
  for (let swap = 1; swap <= swaps; swap++) {
    const dueAt = start + ((swap - 0.5) / swaps) * seconds * 1000;
    await delay(Math.max(0, dueAt - performance.now()));
    windows.push(await swapOnce(compute, model, swap + 1));
    if (swap === Math.min(FIRST_MEASURED, swaps) || swap === swaps)
      memory.push(await memoryAfterDrain(compute));
    if (swap % 20 === 0) say(`${swap} swaps`);
  }
  const arrivals = await arriving;
  const failed = arrivals.filter((arrival) => arrival.error !== null);
  if (failed[0]) say(`${failed.length} failed, the first with: ${failed[0].error}`);
  const tails = tailRatios(arrivals, windows, start, seconds * 1000);
  return [
    figure('swap_failed', [failed.length], { atMost: 0 }),
    figure('swap_p99', tails, { atMost: 1.2 }),
    figure('swap_memory', [(memory.at(-1) ?? Number.NaN) / (memory[0] ?? Number.NaN)], { atMost: 1.1 }),
    figure('swap_per_s', [rate]),
    figure(
      'swap_seconds',
      windows.map(({ from, to }) => (to - from - AFTER_FLIP_MS) / 1000),
    ),
    figure('swap_memory_mb', [(memory.at(-1) ?? Number.NaN) / 2 ** 20]),
    figure('swap_memory_before_mb', [(memory[0] ?? Number.NaN) / 2 ** 20]),
    figure('swap_done', [windows.length]),
  ];
}

async function swapOnce(compute: ComputeStand, model: 'medium', next: number): Promise<SwapWindow> {
  const live = next - 1;
  const previous = live > 1 ? live - 1 : null;
  // Building and storing the bytes is the pusher's work, not the swap's.
  await compute.put(benchPerceptron(model, next), next);
  const from = performance.now();
  await compute.roles({ model, live, previous, target: next });
  await compute.roles({ model, live: next, previous: live, target: null });
  return { from, to: performance.now() + AFTER_FLIP_MS };
}

/**
 * Memory of front and runners once only live and previous are loaded; the version before them drains for some
 * seconds.
 */
async function memoryAfterDrain(compute: ComputeStand): Promise<number> {
  const end = performance.now() + DRAINED_MS;
  while ((await compute.child.ask<number>('held')) > 2) {
    if (performance.now() > end) throw new Error('versions that are no longer wanted are still loaded');
    await delay(50);
  }
  const samples: number[] = [];
  while (samples.length < MEMORY_SAMPLES) {
    const { front, runners } = await compute.child.ask<ComputeMemory>('memory');
    samples.push(front + runners);
    await delay(SAMPLE_MS);
  }
  return quantile(samples, 0.5);
}

/** p99 within windows divided by p99 outside of them, for each part of the run. */
function tailRatios(
  arrivals: readonly Arrival[],
  windows: readonly SwapWindow[],
  start: number,
  lengthMs: number,
): number[] {
  const within = Array.from({ length: STRETCHES }, (): number[] => []);
  const outside = Array.from({ length: STRETCHES }, (): number[] => []);
  for (const { dueAt, latencyMs } of arrivals) {
    if (dueAt < start) continue;
    const stretch = Math.min(STRETCHES - 1, Math.floor(((dueAt - start) / lengthMs) * STRETCHES));
    const isSwap = windows.some(({ from, to }) => dueAt >= from && dueAt < to);
    (isSwap ? within : outside)[stretch]?.push(latencyMs);
  }
  return within.map(
    (latencies, stretch) => quantile(latencies, 0.99) / quantile(outside[stretch] ?? [], 0.99),
  );
}
