import { Confinements } from '@hotloop/compute/runner/confinement.ts';
import type { ExecutionProvider } from '@hotloop/compute/runner/load-options.ts';
import { type Runner, startRunner } from '@hotloop/compute/runner/runner.ts';
import { EXECUTION_PROVIDERS } from '@hotloop/model/manifest/runtime-schema.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import type { BenchOptions } from '../bench.ts';
import { type Figure, figure, ratios } from '../figure.ts';
import { interleave, quantile, type Sample, type Side, warm } from '../interleave.ts';
import { type BenchModel, benchConvolution, benchPerceptron } from '../models/bench-models.ts';

/** Rows per batch: enough to load a GPU. */
const ROWS = 256;
/** Equal to the depth of compute's pipeline to a runner. */
const IN_FLIGHT = 2;
const LOAD_TIMEOUT_MS = 300_000;
const MEMORY_LIMIT_BYTES = 8 * 1024 ** 3;
/** Providers may compute with lower precision: TensorFloat-32 has 10 bits of mantissa. */
const TOLERANCE = 1e-2;

/**
 * Rows per second through a runner on each execution provider that loads here, divided by those on the CPU with one
 * thread, and the difference of their outputs. Throws when they differ by more than rounding. For a provider that
 * does not load, a line says why.
 */
export async function providersBench({ rounds, seconds, devices, say }: BenchOptions): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack();
  const models = [
    benchPerceptron('large'),
    benchConvolution('convolution', { side: 64, channels: 32, layers: 6 }),
  ];
  const confinements = new Confinements(silentLog());
  const start = async (provider: ExecutionProvider, { onnx }: BenchModel) => {
    const options = {
      executionProviders: [provider],
      threads: 1,
      loadTimeoutMs: LOAD_TIMEOUT_MS,
      memoryLimitBytes: MEMORY_LIMIT_BYTES,
      deviceEnvironment: devices,
      confinements,
    };
    const runner = await startRunner(onnx, options, silentLog(), AbortSignal.timeout(LOAD_TIMEOUT_MS));
    stack.defer(() => runner.kill());
    return runner;
  };

  const sides: Side[] = [];
  const told: Figure[] = [];
  const loaded: { readonly provider: ExecutionProvider; readonly model: BenchModel }[] = [];
  for (const model of models) {
    const input = randomBatch(model);
    let expected: Float32Array | undefined;
    for (const provider of EXECUTION_PROVIDERS) {
      const begun = performance.now();
      const runner = await start(provider, model).catch((error: Error) => error);
      if (runner instanceof Error) {
        say(`${provider} cannot run the ${model.name} model here: ${runner.message}`);
        continue;
      }
      const loadMs = performance.now() - begun;
      const outputs = await run(runner, model, input);
      expected ??= outputs;
      const difference = largestDifference(outputs, expected);
      // NaN counts as a difference.
      if (!(difference <= TOLERANCE))
        throw new Error(`${provider} gives other numbers than cpu: they differ by ${difference}`);
      loaded.push({ provider, model });
      told.push(figure(`${provider}_${model.name}_difference`, [difference]));
      told.push(figure(`${provider}_${model.name}_load_ms`, [loadMs]));
      sides.push({ name: `${provider} ${model.name}`, run: (s) => throughput(runner, model, input, s) });
    }
  }
  await warm(sides, seconds, say);
  const results = await interleave(sides, rounds, seconds, say);
  const perSecond = (sample: Sample) => sample.perSecond;
  return [
    ...loaded.flatMap(({ provider, model: { name } }) => [
      ...(provider === 'cpu'
        ? []
        : [
            figure(
              `${provider}_${name}_over_cpu`,
              ratios(results, `${provider} ${name}`, `cpu ${name}`, perSecond),
            ),
          ]),
      figure(`${provider}_${name}_rows_per_s`, (results.get(`${provider} ${name}`) ?? []).map(perSecond)),
    ]),
    ...told,
  ];
}

function randomBatch(model: BenchModel): Uint8Array {
  const random = new SeededRandom(1);
  const length = ROWS * model.row.reduce((product, size) => product * size, 1);
  return new Uint8Array(Float32Array.from({ length }, () => random.normal()).buffer);
}

async function run(runner: Runner, { row }: BenchModel, input: Uint8Array): Promise<Float32Array> {
  const shape = [ROWS, ...row];
  const { tensors } = await runner.run([{ index: 0, datatype: 'FP32', shape, pieces: [input] }]);
  const [output] = tensors;
  if (!output) throw new Error('a runner gave no output');
  const bytes = Uint8Array.from(output.contents);
  return new Float32Array(bytes.buffer);
}

function largestDifference(values: Float32Array, others: Float32Array): number {
  if (values.length !== others.length) return Number.POSITIVE_INFINITY;
  return values.reduce((most, value, index) => Math.max(most, Math.abs(value - (others[index] ?? 0))), 0);
}

async function throughput(
  runner: Runner,
  model: BenchModel,
  input: Uint8Array,
  seconds: number,
): Promise<Sample> {
  const latencies: number[] = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const keepAsking = async () => {
    for (let asked = performance.now(); asked < end; asked = performance.now()) {
      await run(runner, model, input);
      latencies.push(performance.now() - asked);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, keepAsking));
  const elapsed = (performance.now() - begun) / 1000;
  return {
    perSecond: (latencies.length * ROWS) / elapsed,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
  };
}
