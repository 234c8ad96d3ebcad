import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure } from '../figure.ts';
import { openLoad } from '../load/open-load.ts';
import {
  type BenchModel,
  benchConvolution,
  benchPerceptron,
  type ConvolutionShape,
} from '../models/bench-models.ts';
import { OIP, oipRequest } from '../models/oip-request.ts';
import { startTightLoop } from '../peers/start-peers.ts';
import type { ComputeBench } from '../stand/compute-bench.ts';
import type { LoopDelay } from '../stand/compute-child.ts';

const SLOW_MS = 200;
const WIDE: Omit<ConvolutionShape, 'layers'> = { side: 112, channels: 64 };
const TRIED_LAYERS = 3;
/** Requests of a small model next to the slow one. */
const BESIDE_PER_SECOND = 200;

/**
 * Delay of compute's event loop while a model runs that takes 200 ms per request: consecutive runs, together with
 * requests of a small model. The model is a convolutional network whose depth is chosen for this machine.
 */
export async function measureLoopDelay(
  bench: ComputeBench,
  { rounds, seconds }: BenchOptions,
): Promise<{ figure: Figure; told: Figure[] }> {
  const { compute } = bench;
  const { model, runMs } = await slowModel(bench.folder);
  await compute.serve(model);
  const slow = oipRequest(model);
  const small = oipRequest(benchPerceptron('small'));
  const delays: LoopDelay[] = [];
  for (let round = 0; round < rounds; round++) {
    await compute.child.ask('watchDelay');
    const end = performance.now() + seconds * 1000;
    const beside = openLoad({
      perSecond: BESIDE_PER_SECOND,
      seconds,
      seed: round + 1,
      send: () => compute.load.call(OIP.unary, small),
    });
    while (performance.now() < end) await compute.load.call(OIP.unary, slow);
    await beside;
    delays.push(await compute.child.ask<LoopDelay>('delay'));
  }
  return {
    figure: figure(
      'loop_delay_ms',
      delays.map((delay) => delay.p99Ms),
      { atMost: 20 },
    ),
    told: [
      figure(
        'loop_delay_max_ms',
        delays.map((delay) => delay.maxMs),
      ),
      figure('loop_delay_run_ms', [runMs]),
    ],
  };
}

/** Chooses the number of layers so that one run takes about 200 ms here. */
async function slowModel(folder: string): Promise<{ model: BenchModel; runMs: number }> {
  await using tight = await startTightLoop();
  const timeOf = async (model: BenchModel) => {
    const path = join(folder, `${model.name}.onnx`);
    await writeFile(path, model.onnx);
    await tight.load(model, path);
    return (await tight.run({ name: model.name, rows: 1, seconds: 1 })).p50Ms;
  };
  const tried = await timeOf(benchConvolution('tried', { ...WIDE, layers: TRIED_LAYERS }));
  const layers = 1 + Math.max(1, Math.round((SLOW_MS / tried) * (TRIED_LAYERS - 1)));
  const model = benchConvolution('slow', { ...WIDE, layers });
  return { model, runMs: await timeOf(model) };
}
