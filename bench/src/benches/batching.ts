import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, quantile, type Sample, type Side, warm } from '../interleave.ts';
import { openLoad } from '../load/open-load.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { isOipFailure, OIP, oipRequest } from '../models/oip-request.ts';
import { openComputeBench } from '../stand/compute-bench.ts';

const CALLERS = 64;
const STREAMS = { streams: 4, window: 64, isFailure: isOipFailure };
/** Share of the rate that 64 callers reach without batching. */
const IDLE_LOAD = 0.1;
/** A tail latency needs more requests than a throughput. */
const IDLE_TURNS = 4;
/**
 * And more rounds: the p99 of a thousand requests depends on ten of them, so the error of a single ratio is about a
 * fifth.
 */
const IDLE_ROUNDS = 3;

/**
 * One model served twice by one compute: with the default settings, and with `max_batch: 1`, which turns batching
 * off. At a tenth of the load each request goes to one of the two at random, so that both are measured at the same
 * time; latency is the client's, from the time of sending. At saturation the two alternate.
 */
export async function batchingBench(options: BenchOptions): Promise<Figure[]> {
  const { rounds, seconds, profile, say } = options;
  await using stand = await openComputeBench({ profile });
  const { compute } = stand;
  const model = benchPerceptron('medium');
  const requests = { on: oipRequest(model, 1, 'on'), off: oipRequest(model, 1, 'off') };
  await compute.serve(model, { name: 'on' });
  await compute.serve(model, { name: 'off', yaml: 'runtime: {max_batch: 1}\n' });

  const unary = (request: Buffer) => (s: number) => compute.load.unary(OIP.unary, request, CALLERS, s);
  const stream = (request: Buffer) => (s: number) => compute.load.stream(OIP.stream, request, STREAMS, s);
  const settle = () => compute.settle();
  const sides: Side[] = [
    { name: 'unary on', run: unary(requests.on), settle },
    { name: 'unary off', run: unary(requests.off), settle },
    { name: 'stream on', run: stream(requests.on), settle },
    { name: 'stream off', run: stream(requests.off), settle },
  ];
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const perSecond = IDLE_LOAD * quantile((results.get('unary off') ?? []).map(rate), 0.5);

  await using bare = await compute.openBare();
  const send = { on: bare.caller(OIP.unary, requests.on), off: bare.caller(OIP.unary, requests.off) };
  const idle: { ratio: number; onMs: number; offMs: number }[] = [];
  for (let round = 0; round < rounds * IDLE_ROUNDS; round++) {
    const random = new SeededRandom(1000 + round);
    const latencies = { on: [] as number[], off: [] as number[] };
    const arrivals = await openLoad({
      perSecond,
      seconds: seconds * IDLE_TURNS,
      seed: round + 1,
      async send() {
        const side = random.uniform() < 0.5 ? 'on' : 'off';
        const sentAt = performance.now();
        await send[side]();
        latencies[side].push(performance.now() - sentAt);
      },
    });
    const failed = arrivals.find((arrival) => arrival.error !== null);
    if (failed) throw new Error(`a request failed: ${failed.error}`);
    const onMs = quantile(latencies.on, 0.99);
    const offMs = quantile(latencies.off, 0.99);
    idle.push({ ratio: onMs / offMs, onMs, offMs });
    say(`idle round ${round + 1}: ${latencies.on.length} on, ${latencies.off.length} off`);
  }
  return [
    figure(
      'batching_idle_p99',
      idle.map(({ ratio }) => ratio),
      { atMost: 1.05 },
    ),
    figure(
      'batching_idle_p99_on_ms',
      idle.map(({ onMs }) => onMs),
    ),
    figure('batching_idle_per_s', [perSecond]),
    figure('batching_unary_throughput', ratios(results, 'unary on', 'unary off', rate)),
    figure('batching_stream_throughput', ratios(results, 'stream on', 'stream off', rate)),
  ];
}

function rate(sample: Sample): number {
  return sample.perSecond;
}
