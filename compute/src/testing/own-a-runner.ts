import { dirname, join } from 'node:path';
import { GraphBuilder } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { createLog } from '@hotloop/platform/log.ts';

/**
 * A process that owns a runner: `node own-a-runner.ts RUNNER_FILE`. Writes its log to stdout, then a line with the
 * runner's process id, and gives it a run that takes about a minute.
 */
const SIDE = 512;
const MULTIPLICATIONS = 8_000;

function slowModel(): Uint8Array {
  const graph = new GraphBuilder();
  let product = graph.input('x', 'float32', [SIDE, SIDE]);
  for (let step = 0; step < MULTIPLICATIONS; step++) product = graph.node('MatMul', [product, 'x']);
  graph.node('Identity', [product], {}, { outputs: ['y'] });
  graph.output('y', 'float32', [SIDE, SIDE]);
  return encodeModel(graph.build('slow'));
}

const log = createLog({ service: 'test', level: 'info' }, process.stdout);
const file = process.argv[2] ?? '';
const { startRunner }: typeof import('../runner/runner.ts') = await import(file);
const { Confinements }: typeof import('../runner/confinement.ts') = await import(
  join(dirname(file), 'confinement.ts')
);
const runner = await startRunner(
  slowModel(),
  {
    executionProviders: ['cpu'],
    threads: 1,
    loadTimeoutMs: 60_000,
    memoryLimitBytes: 2 ** 32,
    confinements: new Confinements(log),
  },
  log,
  new AbortController().signal,
);
process.stdout.write(`${JSON.stringify({ runner: runner.pid })}\n`);
const contents = new Uint8Array(SIDE * SIDE * 4);
await runner.run([{ index: 0, datatype: 'FP32', shape: [SIDE, SIDE], pieces: [contents] }]);
runner.kill();
