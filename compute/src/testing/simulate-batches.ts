import { type BatchView, rowsToSend } from '../batching/batch-policy.ts';

/** A model, the latency to its runner, and its traffic. Times in microseconds. */
export interface Simulation {
  readonly perRowUs: number;
  readonly fixedUs: number;
  /** One-way latency between queue and runner. */
  readonly hopUs: number;
  readonly capRows: number;
  /** Arrival time of each row, ascending. */
  readonly arrivalsUs: readonly number[];
}

export interface SimulationResult {
  /** From arrival to answer, in order of arrival. */
  readonly latenciesUs: readonly number[];
  readonly batches: readonly number[];
  /** Share of the time between first arrival and last answer in which the runner was busy. */
  readonly busy: number;
  readonly endUs: number;
}

export type Policy = (view: BatchView) => number;

interface Flying {
  readonly rows: readonly number[];
  readonly answeredUs: number;
}

/** Simulates a policy with one runner, event by event; deterministic. */
export function simulate(simulation: Simulation, policy: Policy = rowsToSend): SimulationResult {
  const { arrivalsUs, perRowUs, fixedUs, hopUs, capRows } = simulation;
  const latenciesUs: number[] = new Array(arrivalsUs.length).fill(0);
  const batches: number[] = [];
  const queue: number[] = [];
  let flying: Flying[] = [];
  let runnerFreeUs = 0;
  let ranUs = 0;
  let nowUs = 0;
  for (let next = 0; next < arrivalsUs.length || flying.length > 0; ) {
    const arrivesUs = arrivalsUs[next] ?? Number.POSITIVE_INFINITY;
    const answersUs = flying[0]?.answeredUs ?? Number.POSITIVE_INFINITY;
    nowUs = Math.min(arrivesUs, answersUs);
    if (arrivesUs <= answersUs) queue.push(next++);
    else {
      for (const row of flying[0]?.rows ?? []) latenciesUs[row] = nowUs - (arrivalsUs[row] ?? 0);
      flying = flying.slice(1);
    }
    for (;;) {
      const runningRows = flying.reduce((total, batch) => total + batch.rows.length, 0);
      const take = policy({ queuedRows: queue.length, runningBatches: flying.length, runningRows, capRows });
      if (take === 0) break;
      const rows = queue.splice(0, take);
      const runUs = fixedUs + perRowUs * rows.length;
      runnerFreeUs = Math.max(nowUs + hopUs, runnerFreeUs) + runUs;
      ranUs += runUs;
      batches.push(rows.length);
      flying.push({ rows, answeredUs: runnerFreeUs + hopUs });
    }
  }
  return { latenciesUs, batches, busy: ranUs / (nowUs - (arrivalsUs[0] ?? 0)), endUs: nowUs };
}

/** The value that the given share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Arrivals of a Poisson process; `random` returns numbers from 0 to 1. */
export function poissonArrivals(count: number, perSecond: number, random: () => number): number[] {
  const arrivals: number[] = [];
  let at = 0;
  for (let index = 0; index < count; index++) {
    at += (-Math.log(1 - random()) * 1e6) / perSecond;
    arrivals.push(at);
  }
  return arrivals;
}
