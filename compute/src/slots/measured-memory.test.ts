import { createLog } from '@hotloop/platform/log.ts';
import { GraphBuilder, int } from '@hotloop/platform/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/platform/onnx/model.ts';
import { int64Tensor } from '@hotloop/platform/onnx/tensor.ts';
import { describe, expect, it } from 'vitest';
import { tensorManifest } from '../testing/echo-models.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute } from '../testing/start-test-compute.ts';

const MB = 1024 ** 2;
const LIMIT_MB = 256;

describe('the memory of a runner', () => {
  it('is measured, and one that keeps more than its model may take is ended and replaced', async () => {
    const lines: Record<string, unknown>[] = [];
    const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
    const log = createLog({ service: 'test', level: 'error' }, stream);
    await using test = await startTestCompute({}, log);
    const manifest = tensorManifest('hoarder', `runtime: {memory_limit_mb: ${LIMIT_MB}}\n`);
    const record = await storeVersion(test.store, 1, manifest, hoarder());
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('hoarder', 1, 'ready');
    using client = openOipClient(test.compute.address);
    const { fleet } = test.compute;
    const pids = () => fleet.find('hoarder', 1)?.runnerPids ?? [];
    const take = (bytes: number) =>
      client.infer({
        modelName: 'hoarder',
        inputs: [{ name: 'n', datatype: 'INT64', shape: [1], contents: { int64Contents: [bytes / 4] } }],
      });

    const [first] = pids();
    await take(4 * MB);
    await fleet.measure();
    expect(pids()).toEqual([first]);

    await take(2 * LIMIT_MB * MB);
    await fleet.measure();
    await expect
      .poll(() => fleet.find('hoarder', 1)?.state === 'ready' && (pids()[0] ?? first) !== first)
      .toBe(true);
    expect(lines).toContainEqual(
      expect.objectContaining({ runner: first, message: expect.stringMatching(/more memory than it may/) }),
    );
    await take(4 * MB);
  });
});

/** Fills as many numbers as it is told to; the runtime keeps their memory for the next run. */
function hoarder(): Uint8Array {
  const graph = new GraphBuilder();
  const count = graph.input('n', 'int64', [1]);
  const large = graph.node('ConstantOfShape', [count]);
  const axes = graph.initializer('axes', int64Tensor([0]));
  graph.node('ReduceSum', [large, axes], { keepdims: int(1) }, { name: 'sum', outputs: ['y'] });
  graph.output('y', 'float32', [1]);
  return encodeModel(graph.build('hoarder'));
}
