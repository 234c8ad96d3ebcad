import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Sample, type Side, warm } from '../interleave.ts';
import { framedLoad } from '../load/framed-load.ts';
import type { StreamShape } from '../load/raw-load.ts';
import {
  type BenchModel,
  benchConvolution,
  benchPerceptron,
  SMALL_CONVOLUTION,
} from '../models/bench-models.ts';
import { INFER_STREAM, inferItem } from '../models/framed-items.ts';
import { isOipFailure, OIP, oipRequest } from '../models/oip-request.ts';
import { ECHO } from '../peers/echo-server.ts';
import { startEcho, startTightLoop } from '../peers/start-peers.ts';
import { openComputeBench } from '../stand/compute-bench.ts';
import { measureLoopDelay } from './loop-delay.ts';

/** Callers for the unary figures, each with one call in flight. */
const CALLERS = 64;
const STREAMS: StreamShape = { streams: 4, window: 64 };
const CHECKED: StreamShape = { ...STREAMS, isFailure: isOipFailure };

const perSecond = (sample: Sample) => sample.perSecond;

/**
 * The Open Inference Protocol through compute, compared with a bare echo of the same bytes. Client and echo server
 * are one process each; compute is one process too, and starts its runners itself. The prediction log is on.
 */
export async function inferBench(options: BenchOptions): Promise<Figure[]> {
  const { rounds, seconds, profile, say } = options;
  await using stand = await openComputeBench({ profile });
  await using echo = await startEcho(profile);
  await using tight = await startTightLoop();
  const { compute, folder } = stand;
  const small = benchPerceptron('small');
  const others = [
    benchPerceptron('medium'),
    benchPerceptron('large'),
    benchConvolution('convolution', SMALL_CONVOLUTION),
  ];
  for (const model of [small, ...others]) {
    await compute.serve(model);
    const path = join(folder, `${model.name}.onnx`);
    await writeFile(path, model.onnx);
    await tight.load(model, path);
  }

  const bytes = oipRequest(small);
  const item = inferItem(small);
  const settle = () => compute.settle();
  const sides: Side[] = [
    { name: 'echo unary', run: (s) => echo.load.unary(ECHO.unary.path, bytes, CALLERS, s) },
    { name: 'infer unary', run: (s) => compute.load.unary(OIP.unary, bytes, CALLERS, s), settle },
    { name: 'echo stream', run: (s) => echo.load.stream(ECHO.stream.path, bytes, STREAMS, s) },
    { name: 'infer stream', run: (s) => compute.load.stream(OIP.stream, bytes, CHECKED, s), settle },
    { name: 'frames', run: (s) => framedLoad(compute.load, INFER_STREAM, item, STREAMS, s), settle },
    ...[small, ...others].flatMap((model): Side[] => {
      const request = oipRequest(model);
      return [
        { name: `echo one ${model.name}`, run: (s) => echo.load.unary(ECHO.unary.path, request, 1, s) },
        { name: `infer one ${model.name}`, run: (s) => compute.load.unary(OIP.unary, request, 1, s), settle },
        { name: `run one ${model.name}`, run: (s) => runDirectly(model.name, s) },
      ];
    }),
    ...others.flatMap((model): Side[] => {
      const request = oipRequest(model);
      return [
        { name: `echo ${model.name}`, run: (s) => echo.load.stream(ECHO.stream.path, request, STREAMS, s) },
        {
          name: `infer ${model.name}`,
          run: (s) => compute.load.stream(OIP.stream, request, CHECKED, s),
          settle,
        },
      ];
    }),
  ];
  async function runDirectly(name: string, s: number): Promise<Sample> {
    const { rowsPerSecond, p50Ms } = await tight.run({ name, rows: 1, seconds: Math.min(s, 0.5) });
    return { perSecond: rowsPerSecond, p50Ms, p99Ms: Number.NaN };
  }
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const of = (name: string) => results.get(name) ?? [];
  const p50 = ({ name }: BenchModel) =>
    of(`infer one ${name}`).map(
      ({ p50Ms }, round) =>
        p50Ms / ((of(`echo one ${name}`)[round]?.p50Ms ?? 0) + (of(`run one ${name}`)[round]?.p50Ms ?? 0)),
    );
  say('event-loop delay');
  const delay = await measureLoopDelay(stand, options);
  return [
    figure('infer_unary', ratios(results, 'infer unary', 'echo unary', perSecond), { atLeast: 0.8 }),
    figure('infer_stream', ratios(results, 'infer stream', 'echo stream', perSecond), { atLeast: 0.6 }),
    figure('stream_over_unary', ratios(results, 'infer stream', 'infer unary', perSecond), { atLeast: 4 }),
    figure('infer_p50', p50(small)),
    delay.figure,
    figure('infer_unary_per_s', of('infer unary').map(perSecond)),
    figure('infer_stream_per_s', of('infer stream').map(perSecond)),
    figure('infer_frames_per_s', of('frames').map(perSecond)),
    figure('infer_frames_over_echo', ratios(results, 'frames', 'echo stream', perSecond)),
    figure(
      'infer_p50_ms',
      of(`infer one ${small.name}`).map((sample) => sample.p50Ms),
    ),
    ...others.map((model) => figure(`infer_p50_${model.name}`, p50(model))),
    ...others.map((model) =>
      figure(
        `infer_stream_${model.name}`,
        ratios(results, `infer ${model.name}`, `echo ${model.name}`, perSecond),
      ),
    ),
    ...delay.told,
  ];
}
