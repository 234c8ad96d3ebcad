import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, type Sample, type Side, warm } from '../interleave.ts';
import { benchPerceptron } from '../models/bench-models.ts';
import { OIP, oipRequest } from '../models/oip-request.ts';
import { startTriton } from '../peers/start-triton.ts';
import { openComputeBench } from '../stand/compute-bench.ts';

const CALLERS = [1, 16, 64] as const;

const perSecond = (sample: Sample) => sample.perSecond;

/**
 * Compute with its log, compared with NVIDIA Triton with ONNX Runtime in its Python backend: the same model, the same
 * bytes by unary gRPC, the same client. Triton comes from PyPI; if it cannot be installed there is no figure, and one
 * line says why.
 */
export async function peersBench({ rounds, seconds, profile, say }: BenchOptions): Promise<Figure[]> {
  await using stand = await openComputeBench({ profile });
  const model = benchPerceptron('small');
  const repository = join(stand.folder, 'triton');
  await mkdir(repository);
  const started = await startTriton(model, repository);
  if ('reason' in started) {
    say(`skipped: ${started.reason}`);
    return [];
  }
  await using triton = started;
  const { compute } = stand;
  await compute.serve(model);
  const request = oipRequest(model);
  const sides = CALLERS.flatMap((callers): Side[] => [
    { name: `triton ${callers}`, run: (s) => triton.load.unary(OIP.unary, request, callers, s) },
    {
      name: `compute ${callers}`,
      run: (s) => compute.load.unary(OIP.unary, request, callers, s),
      settle: () => compute.settle(),
    },
  ]);
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const of = (name: string) => results.get(name) ?? [];
  return [
    figure('triton_rps_16', ratios(results, 'compute 16', 'triton 16', perSecond), { atLeast: 1 }),
    figure('triton_rps_64', ratios(results, 'compute 64', 'triton 64', perSecond), { atLeast: 1 }),
    figure(
      'triton_p50_1',
      ratios(results, 'compute 1', 'triton 1', (sample) => sample.p50Ms),
      { atMost: 1.1 },
    ),
    ...['triton', 'compute'].flatMap((side) => [
      figure(
        `peers_${side}_p50_ms`,
        of(`${side} 1`).map((sample) => sample.p50Ms),
      ),
      figure(`peers_${side}_16_per_s`, of(`${side} 16`).map(perSecond)),
      figure(`peers_${side}_64_per_s`, of(`${side} 64`).map(perSecond)),
    ]),
  ];
}
