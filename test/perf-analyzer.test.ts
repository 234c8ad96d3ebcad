import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { echoModel, tensorManifest } from '@hotloop/compute/testing/echo-models.ts';
import { featureManifest, modelOf, storeVersion } from '@hotloop/compute/testing/model-bundles.ts';
import { startTestCompute } from '@hotloop/compute/testing/start-test-compute.ts';
import { describe, expect, it } from 'vitest';
import { runCommand } from '../deploy/src/backing/run-command.ts';
import { fetchPerfAnalyzer } from './fetch-perf-analyzer.ts';

const RUN_MS = 60_000;
/** Three windows of a fifth of a second, however much they differ: what counts here is that it works. */
const BRIEFLY = ['--measurement-interval', '200', '--max-trials', '10', '--stability-percentage', '999'];
/** The program compares each answer with `validation_data`, and fails when one differs. */
const VALIDATED = {
  data: [{ x: [1, 2.5, -3.25] }, { x: { content: [4, 5, 6], shape: [3] } }],
  validation_data: [{ x_out: [1, 2.5, -3.25] }, { x_out: [4, 5, 6] }],
};

describe("NVIDIA's perf_analyzer", () => {
  it('measures over gRPC, streams and HTTP, and accepts every answer', async (context) => {
    const signal = AbortSignal.timeout(240_000);
    const program = await fetchPerfAnalyzer(signal);
    if ('reason' in program) {
      console.warn(`not run: ${program.reason}`);
      context.skip();
      return;
    }
    await using test = await startTestCompute({ httpListen: '127.0.0.1:0' });
    const echo = (name: string, elementType: 'float32' | 'string', shape: (number | string)[]) =>
      storeVersion(test.store, 1, tensorManifest(name), echoModel([{ name: 'x', elementType, shape }]));
    const versions = [
      await storeVersion(test.store, 1, featureManifest('tiny', 4)),
      await echo('echo', 'float32', ['N', 3]),
      await echo('text', 'string', ['N']),
    ];
    for (const version of versions) test.registry.set(modelOf([version], { live: 1 }));
    test.registry.publish();
    for (const version of versions) await test.until(version.model, 1, 'ready');
    const grpc = ['-i', 'grpc', '-u', test.compute.address];
    const http = ['-i', 'http', '-u', test.compute.httpAddress];
    const file = join(test.folder, 'validated.json');
    await writeFile(file, floatsWritten(VALIDATED));
    const measure = async (...args: string[]): Promise<string> => {
      const options = { env: program.env, cwd: test.folder, timeoutMs: RUN_MS };
      const result = await runCommand(program.command, [...args, ...BRIEFLY], options, signal);
      if (result.code !== 0) throw new Error(`it failed:\n${result.stdout}\n${result.stderr}`);
      return result.stdout;
    };

    const batches = await measure(
      ...['-m', 'tiny', ...grpc, '--shape', 'input:4', '-b', '8', '--percentile', '95'],
      ...['--concurrency-range', '1:2'],
    );
    expect(batches).toMatch(/Concurrency: 1, throughput: [1-9].*\nConcurrency: 2, throughput: [1-9]/);
    expect(batches).toContain('p95 Batch Latency');
    // What the server counted between the beginning and the end of a window, which it asked for.
    expect(batches).toMatch(/Server: \n\s+Inference count: [1-9]/);

    const streamed = ['-m', 'echo', ...grpc, '--streaming', '--input-data', file];
    expect(await measure(...streamed, '--concurrency-range', '4')).toMatch(
      /Concurrency: 4, throughput: [1-9]/,
    );
    expect(await measure('-m', 'echo', ...http, '--input-data', file)).toMatch(
      /Concurrency: 1, throughput: [1-9]/,
    );
    const rated = ['-m', 'tiny', ...http, '--input-data', 'zero', '--request-rate-range', '100'];
    expect(await measure(...rated)).toMatch(/Request Rate: 100(\.0+)?, throughput: [1-9]/);
    const words = ['-m', 'text', ...grpc, '--shape', 'x:3', '--string-data', 'hello'];
    expect(await measure(...words)).toMatch(/Concurrency: 1, throughput: [1-9]/);

    const wrong = join(test.folder, 'wrong.json');
    await writeFile(
      wrong,
      floatsWritten({ ...VALIDATED, validation_data: VALIDATED.data.map(() => ({ x_out: [0, 0, 0] })) }),
    );
    await expect(measure('-m', 'echo', ...grpc, '--input-data', wrong)).rejects.toThrow(
      /doesn't match expected output/,
    );
  }, 300_000);
});

/** The program reads no whole number where a float belongs; a shape has whole numbers. */
function floatsWritten(value: object): string {
  return JSON.stringify(value).replace(/(?<="(?:x|x_out|content)":\[)[^\]]*/g, (numbers) =>
    numbers.replace(/(?<![\d.])\d+(?![\d.])/g, '$&.0'),
  );
}
