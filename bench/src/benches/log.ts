import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, quantile, type Sample, type Side, warm } from '../interleave.ts';
import { openLoad } from '../load/open-load.ts';
import { type BenchModel, benchPerceptron } from '../models/bench-models.ts';
import { isOipFailure, OIP, oipRequest } from '../models/oip-request.ts';
import { type ComputeBench, openComputeBench } from '../stand/compute-bench.ts';
import type { Collections } from '../stand/compute-child.ts';
import type { ComputeStand } from '../stand/compute-stand.ts';

const CALLERS = 64;
const STREAMS = { streams: 4, window: 64, isFailure: isOipFailure };
/**
 * Each round has this many short turns per side, of half the length, because the machine's speed changes from second
 * to second by more than the log costs.
 */
const PAIRS = 12;
const PAIR_TURN = 0.5;
/** Share of this run's saturated rate at which the lag of the log is measured. */
const LAG_LOAD = 0.7;
/** The tail is compared at this share of the rate that 64 callers reach without the log. */
const TAIL_LOAD = 0.5;
/** Turns for the tail are longer by this factor, so that one pause of the machine does not determine the p99. */
const TAIL_TURN = 2;
/**
 * And there are more of them by this factor: a garbage collection pause in one turn changes that pair, but not the
 * median.
 */
const TAIL_ROUNDS = 3;

/**
 * One compute whose log is switched on and off from turn to turn, because two processes of the same code differ by
 * more than the log costs. A turn with the log ends when all its rows are in Postgres, so that no work is left for
 * another turn.
 */
export async function logBench(options: BenchOptions): Promise<Figure[]> {
  await using stand = await openComputeBench({ profile: options.profile, log: { switchesLog: true } });
  const model = benchPerceptron('medium');
  const { full, sustained } = await saturate(stand, model, options);
  const unary = quantile((full.get('unary off') ?? []).map(rate), 0.5);
  const { tails, beside } = await compareTails(stand, model, TAIL_LOAD * unary, options);
  const saturated = quantile((full.get('stream on') ?? []).map(rate), 0.5);
  const lag = await measureLag(stand, model, LAG_LOAD * saturated, options);
  return [
    figure('log_sustained', sustained, { atLeast: 0.8 }),
    figure('log_lag_p99_s', [lag], { atMost: 2 }),
    figure('log_stream_per_s', (full.get('stream on') ?? []).map(rate)),
    figure('log_sustained_unary', ratios(full, 'unary on', 'unary off', rate)),
    figure(
      'log_p99',
      ratios(tails, 'unary on', 'unary off', (sample) => sample.p99Ms),
    ),
    figure(
      'log_p50',
      ratios(tails, 'unary on', 'unary off', (sample) => sample.p50Ms),
    ),
    figure('log_p99_per_s', [TAIL_LOAD * unary]),
    figure(
      'log_p99_ms',
      (tails.get('unary on') ?? []).map((sample) => sample.p99Ms),
    ),
    figure('log_p99_shipped', beside.shipped),
    figure('log_collector_share', beside.collecting),
    figure('log_collector_longest_ms', beside.longestPauseMs),
  ];
}

/** Streams at a steady rate for some minutes: the delay until rows are in Postgres, 99th percentile over all rows. */
async function measureLag(
  stand: ComputeBench,
  model: BenchModel,
  perSecond: number,
  { lagSeconds, say }: BenchOptions,
): Promise<number> {
  await using compute = await stand.add('lag', {});
  await compute.serve(model);
  const from = Date.now();
  say(`${Math.round(perSecond)} requests per second for ${lagSeconds} s`);
  const shape = { streams: STREAMS.streams, perSecond, isFailure: isOipFailure };
  await compute.load.paced(OIP.stream, oipRequest(model), shape, lagSeconds);
  await compute.settle();
  // Awaited here, because compute is disposed of when this function returns.
  return await compute.child.ask<number>('logLag', { at: from, q: 0.99 });
}

/**
 * One load on one compute, with its log and without. `ends`: a turn with the log ends when its rows are in Postgres.
 */
function onAndOff(
  name: string,
  compute: ComputeStand,
  run: (seconds: number, isOn: boolean) => Promise<Sample>,
  ends: boolean,
): Side[] {
  return [true, false].map((isOn) => ({
    name: `${name} ${isOn ? 'on' : 'off'}`,
    async run(seconds) {
      await compute.switchLog(isOn);
      const begun = performance.now();
      const sample = await run(seconds, isOn);
      if (!isOn || !ends) return sample;
      const answered = (sample.perSecond * (performance.now() - begun)) / 1000;
      await compute.settle();
      return { ...sample, perSecond: (answered * 1000) / (performance.now() - begun) };
    },
    settle: () => compute.settle(),
  }));
}

/** At saturation. */
interface Saturated {
  readonly full: ReadonlyMap<string, readonly Sample[]>;
  /** Streams with the log kept up, divided by streams without it: for each round the median of its pairs. */
  readonly sustained: readonly number[];
}

/**
 * Each round has its own process, because the way in which V8 happens to compile a process affects its speed for its
 * whole life, and may affect the cost of the log.
 */
async function saturate(
  stand: ComputeBench,
  model: BenchModel,
  { rounds, seconds, say }: BenchOptions,
): Promise<Saturated> {
  const request = oipRequest(model);
  const full = new Map<string, readonly Sample[]>();
  const sustained: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    await using compute = await stand.add(`round-${round}`, { switchesLog: true });
    await compute.serve(model);
    const pair = onAndOff(
      'stream',
      compute,
      (s) => compute.load.stream(OIP.stream, request, STREAMS, s),
      true,
    );
    const unary = onAndOff('unary', compute, (s) => compute.load.unary(OIP.unary, request, CALLERS, s), true);
    const sides: Side[] = [...pair, ...unary];
    sides.push(...sides.splice(0, round % sides.length));
    await warm(sides, seconds, say);
    const pairs = await interleave(pair, PAIRS, seconds * PAIR_TURN);
    sustained.push(quantile(ratios(pairs, 'stream on', 'stream off', rate), 0.5));
    for (const [name, samples] of await interleave(sides, 1, seconds, say))
      full.set(name, [...(full.get(name) ?? []), ...samples]);
    say(`round ${round} of ${rounds}: ${sustained.at(-1)?.toFixed(3)} of the throughput with the log`);
  }
  return { full, sustained };
}

/** Additional figures of the side with the log, one value per turn. */
interface Beside {
  /** Share of the turn's rows that were in Postgres at its end. */
  readonly shipped: number[];
  /** Share of the turn spent in garbage collection. */
  readonly collecting: number[];
  readonly longestPauseMs: number[];
}

async function compareTails(
  stand: ComputeBench,
  model: BenchModel,
  perSecond: number,
  { rounds, seconds, say }: BenchOptions,
): Promise<{ readonly tails: ReadonlyMap<string, readonly Sample[]>; readonly beside: Beside }> {
  const request = oipRequest(model);
  const { compute } = stand;
  await compute.serve(model);
  await using load = await compute.openBare();
  const send = load.caller(OIP.unary, request);
  let seed = 0;
  const tail = async (s: number) => {
    const arrivals = await openLoad({ perSecond, seconds: s * TAIL_TURN, seed: ++seed, send });
    const failed = arrivals.find((arrival) => arrival.error !== null);
    if (failed) throw new Error(`a request failed: ${failed.error}`);
    const latencies = arrivals.map((arrival) => arrival.latencyMs);
    return {
      perSecond: arrivals.length / (s * TAIL_TURN),
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
    };
  };
  const beside: Beside = { shipped: [], collecting: [], longestPauseMs: [] };
  const watched = async (s: number) => {
    const from = Date.now();
    await compute.child.ask('collections');
    const sample = await tail(s);
    const { pausesMs } = await compute.child.ask<Collections>('collections');
    const turnMs = s * TAIL_TURN * 1000;
    beside.collecting.push(pausesMs.reduce((sum, pause) => sum + pause, 0) / turnMs);
    beside.longestPauseMs.push(Math.max(0, ...pausesMs));
    beside.shipped.push(
      (await compute.child.ask<number>('loggedSince', from)) / ((sample.perSecond * turnMs) / 1000),
    );
    return sample;
  };
  const sides = onAndOff('unary', compute, (s, isOn) => (isOn ? watched(s) : tail(s)), false);
  await warm(sides, seconds, say);
  for (const values of Object.values(beside)) values.length = 0;
  const tails = await interleave(sides, rounds * TAIL_ROUNDS, seconds, say);
  return { tails, beside };
}

function rate(sample: Sample): number {
  return sample.perSecond;
}
