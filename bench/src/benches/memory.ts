import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { startTightLoop, type TightPeer } from '../peers/start-peers.ts';
import { openComputeBench } from '../stand/compute-bench.ts';
import type { ComputeMemory } from '../stand/compute-child.ts';
import { residentBytes } from '../stand/resident-bytes.ts';

const ADDED = 20;
const BARE = 5;
const MB = 2 ** 20;

/**
 * The memory that one more small version adds to a node that already serves one, once it is ready: the growth of
 * front and runners together, as proportional set size (PSS) of each process. For comparison, what Node with ONNX
 * Runtime and the same model adds by itself.
 */
export async function memoryBench({ say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openComputeBench({});
  const { compute, folder } = stand;
  const model = benchPerceptron('small');
  const total = async () => {
    const { front, runners } = await compute.child.ask<ComputeMemory>('memory');
    return front + runners;
  };
  await compute.serve(model, { name: 'first' });
  const first = await total();
  const added: number[] = [];
  let before = first;
  for (let index = 1; index <= ADDED; index++) {
    await compute.serve(model, { name: `model-${index}` });
    const now = await total();
    added.push((now - before) / MB);
    before = now;
  }
  const runners = await compute.child.ask<ComputeMemory>('memory');
  say(`${ADDED + 1} versions: front ${mb(runners.front)} MB, runners ${mb(runners.runners)} MB`);

  const path = join(folder, 'floor.onnx');
  await writeFile(path, model.onnx);
  const floor = await bareFloor(async (peer) => {
    await peer.load(model, path);
    await peer.run({ name: model.name, rows: 1, seconds: 0.1 });
  });
  return [
    // The figure is the mean; low and high are those of single versions.
    spread('runner_mb', (before - first) / MB / ADDED, added, { atMost: 50 }),
    figure('runner_floor_mb', floor),
    figure('runner_front_mb', [runners.front / MB]),
  ];
}

/** Memory that each further process of bare Node and ONNX Runtime adds, after the first. */
async function bareFloor(prepare: (peer: TightPeer) => Promise<void>): Promise<number[]> {
  await using opened = new AsyncDisposableStack();
  const pids: number[] = [];
  const added: number[] = [];
  let before = 0;
  for (let index = 0; index < BARE; index++) {
    const peer = opened.use(await startTightLoop());
    await prepare(peer);
    pids.push(peer.pid);
    const now = pids.reduce((sum, pid) => sum + residentBytes(pid), 0);
    if (index > 0) added.push((now - before) / MB);
    before = now;
  }
  return added;
}

function spread(key: string, mean: number, values: readonly number[], goal: { atMost: number }): Figure {
  const { low, high, n } = figure(key, values);
  return { ...figure(key, [mean], goal), low, high, n };
}

function mb(bytes: number): number {
  return Math.round(bytes / MB);
}
