import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Sample, type Side, warm } from '../interleave.ts';
import { framedLoad } from '../load/framed-load.ts';
import {
  type BenchModel,
  benchConvolution,
  benchPerceptron,
  SMALL_CONVOLUTION,
} from '../models/bench-models.ts';
import { INFER_STREAM, inferItem } from '../models/framed-items.ts';
import { isOipFailure, OIP, oipRequest } from '../models/oip-request.ts';
import { startTightLoop, type TightPeer } from '../peers/start-peers.ts';
import { openComputeBench } from '../stand/compute-bench.ts';

const BATCHES = [1, 8, 32, 64, 128, 256];
const SEARCH_SECONDS = 0.5;
/** Rows per request in the figure with a goal: a caller that scores a page of candidates. */
const ROWS = 16;
const STREAMS = { streams: 2, window: 32 };
/** Requests of one row need more of them in flight for the same batches. */
const SINGLE = { streams: 2, window: 256 };

const perSecond = (sample: Sample) => sample.perSecond;

/**
 * The rate of the runtime in a tight loop of one thread, at the best batch size, and how much of it remains through
 * compute's streams at saturation for the 512-2048-1024-1 model, which has one runner of one thread. The log is on.
 */
export async function runtimeBench(options: BenchOptions): Promise<Figure[]> {
  const { rounds, seconds, profile, say } = options;
  await using stand = await openComputeBench({ profile });
  await using tight = await startTightLoop();
  const { compute, folder } = stand;
  const large = benchPerceptron('large');
  const models = [
    benchPerceptron('small'),
    benchPerceptron('medium'),
    large,
    benchConvolution('convolution', SMALL_CONVOLUTION),
  ];
  const told: Figure[] = [];
  const best = new Map<string, number>();
  for (const model of models) {
    const path = join(folder, `${model.name}-tight.onnx`);
    await writeFile(path, model.onnx);
    await tight.load(model, path);
    best.set(model.name, await bestBatch(tight, model));
    say(`${model.name}: best batch ${best.get(model.name)}`);
  }
  await compute.serve(large);

  const tightSide = (model: BenchModel): Side => ({
    name: model.name,
    async run(s) {
      const { rowsPerSecond } = await tight.run({
        name: model.name,
        rows: best.get(model.name) ?? 1,
        seconds: s,
      });
      return { perSecond: rowsPerSecond, p50Ms: Number.NaN, p99Ms: Number.NaN };
    },
  });
  const request = oipRequest(large, ROWS);
  const item = inferItem(large, ROWS);
  const single = inferItem(large);
  const settle = () => compute.settle();
  const sides: Side[] = [
    ...models.map(tightSide),
    {
      name: 'saturated',
      run: async (s) =>
        times(
          ROWS,
          await compute.load.stream(OIP.stream, request, { ...STREAMS, isFailure: isOipFailure }, s),
        ),
      settle,
    },
    {
      name: 'saturated frames',
      run: async (s) => times(ROWS, await framedLoad(compute.load, INFER_STREAM, item, STREAMS, s)),
      settle,
    },
    {
      name: 'saturated single',
      run: (s) => framedLoad(compute.load, INFER_STREAM, single, SINGLE, s),
      settle,
    },
  ];
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  for (const model of models) {
    const samples = results.get(model.name) ?? [];
    told.push(figure(`rows_tight_${model.name}_per_s`, samples.map(perSecond)));
    told.push(figure(`best_batch_${model.name}`, [best.get(model.name) ?? 1]));
  }
  return [
    figure('rows_saturated', ratios(results, 'saturated', large.name, perSecond), { atLeast: 0.8 }),
    figure('rows_saturated_frames', ratios(results, 'saturated frames', large.name, perSecond)),
    figure('rows_saturated_single', ratios(results, 'saturated single', large.name, perSecond)),
    figure('rows_saturated_per_s', (results.get('saturated') ?? []).map(perSecond)),
    ...told,
  ];
}

function times(rows: number, sample: Sample): Sample {
  return { ...sample, perSecond: sample.perSecond * rows };
}

/** The batch size with the most rows per second. */
async function bestBatch(tight: TightPeer, model: BenchModel): Promise<number> {
  let best = { rows: 1, rowsPerSecond: 0 };
  for (const rows of BATCHES) {
    await tight.run({ name: model.name, rows, seconds: SEARCH_SECONDS / 5 });
    const { rowsPerSecond } = await tight.run({ name: model.name, rows, seconds: SEARCH_SECONDS });
    if (rowsPerSecond > best.rowsPerSecond) best = { rows, rowsPerSecond };
  }
  return best.rows;
}
