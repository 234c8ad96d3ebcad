import { readFileSync } from 'node:fs';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { type Figure, figure } from '../figure.ts';
import { quantile } from '../interleave.ts';
import type { BenchModel } from '../models/bench-models.ts';
import { OIP, oipRequest } from '../models/oip-request.ts';
import { openComputeBench } from '../stand/compute-bench.ts';
import type { ComputeMemory } from '../stand/compute-child.ts';
import type { Drill } from './drill.ts';

const INPUTS = 64;
const CALLERS = 4;
const POLL_MS = 250;
/** Timeout of a request, which may have to wait until its model is loaded. */
const REQUEST_MS = 60_000;

/**
 * More models than fit into the node's memory budget, requested with Zipf-distributed frequencies by a few callers:
 * versions are evicted and loaded all the time. Counts processes that the system killed because memory ran out, and
 * rejected requests.
 */
export const drillMany: Drill = async ({ models, megabytes, budget, seconds, say }): Promise<Figure[]> => {
  await using stand = await openComputeBench({ memoryBudgetBytes: budget * 2 ** 20 });
  const { compute } = stand;
  const name = (index: number) => `model-${index}`;
  const first = largeModel(megabytes);
  for (let index = 1; index <= models; index++) {
    await compute.put({ ...first, name: name(index), onnx: stamped(first.onnx, index) }, 1);
    await compute.child.ask('announce', { model: name(index), live: 1, previous: null, target: null });
    if (index % 10 === 0) say(`${index} models registered`);
  }
  const kills = oomKills();
  const random = new SeededRandom(1);
  const choose = zipf(models, () => random.uniform());
  const latencies: number[] = [];
  const failures: string[] = [];
  const asked = new Set<number>();
  let most = 0;
  const watch = setInterval(() => {
    void compute.child.ask<ComputeMemory>('memory').then(({ runners }) => {
      most = Math.max(most, runners);
    });
  }, POLL_MS);
  const end = performance.now() + seconds * 1000;
  const caller = async () => {
    while (performance.now() < end) {
      const index = choose();
      asked.add(index);
      const start = performance.now();
      try {
        await compute.load.call(OIP.unary, oipRequest(first, 1, name(index)), REQUEST_MS);
        latencies.push(performance.now() - start);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  clearInterval(watch);
  if (failures[0] !== undefined) say(`${failures.length} failed, the first with: ${failures[0]}`);
  return [
    figure('many_oom', [oomKills() - kills], { atMost: 0 }),
    figure('many_failed', [failures.length], { atMost: 0 }),
    figure('many_answered', [latencies.length]),
    figure('many_models_asked', [asked.size]),
    figure('many_memory_mb', [most / 2 ** 20], { atMost: budget }),
    figure('many_p50_ms', [quantile(latencies, 0.5)]),
    figure('many_p99_ms', [quantile(latencies, 0.99)]),
  ];
};

/** Two square layers of weights with this total size in megabytes. */
function largeModel(megabytes: number): BenchModel {
  const hidden = Math.round(Math.sqrt((megabytes * 2 ** 20) / 4));
  const shape = { inputs: INPUTS, hidden: [hidden, hidden], outputs: 1 } as const;
  const onnx = perceptron({ ...shape, activation: 'relu', head: 'sigmoid', seed: 1 });
  return { name: 'large', onnx, input: 'input', row: [INPUTS] };
}

const PRODUCER = Buffer.from('hotloop');

/** The same model with another digest: the producer's name contains the number. */
function stamped(onnx: Uint8Array, index: number): Uint8Array {
  const bytes = Buffer.from(onnx);
  const at = bytes.indexOf(PRODUCER);
  if (at < 0) throw new RangeError('the model does not name its producer');
  bytes.write(`hot${String(index).padStart(4, '0')}`, at);
  return bytes;
}

/** Draws 1 to `count` with probability proportional to 1 / number. */
export function zipf(count: number, uniform: () => number): () => number {
  const sums: number[] = [];
  for (let index = 1; index <= count; index++) sums.push((sums.at(-1) ?? 0) + 1 / index);
  const total = sums.at(-1) ?? 1;
  return () => {
    const drawn = uniform() * total;
    return sums.findIndex((sum) => drawn < sum) + 1 || count;
  };
}

/** Number of processes that the system has killed because memory ran out, since its start. Linux. */
function oomKills(): number {
  const [, kills] = /^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8')) ?? [];
  return Number(kills ?? 0);
}
