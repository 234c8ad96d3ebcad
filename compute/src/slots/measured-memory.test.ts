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

/** A node that serves a model which keeps as much memory as a request says. */
async function serveHoarder() {
  const stack = new AsyncDisposableStack();
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const test = stack.use(await startTestCompute({}, createLog({ service: 'test', level: 'error' }, stream)));
  const manifest = tensorManifest('hoarder', `runtime: {memory_limit_mb: ${LIMIT_MB}}\n`);
  const record = await storeVersion(test.store, 1, manifest, hoarder());
  test.registry.set(modelOf([record], { live: 1 }));
  test.registry.publish();
  await test.until('hoarder', 1, 'ready');
  const client = stack.use(openOipClient(test.compute.address));
  const { fleet } = test.compute;
  const slot = () => fleet.find('hoarder', 1);
  return {
    /** Lines of the log that say why a runner was ended. */
    ended: () => lines.filter(({ message }) => /more memory than it may/.test(String(message))),
    measure: () => fleet.measure(),
    pid: () => slot()?.runnerPids[0],
    take: (bytes: number) => {
      const contents = { int64Contents: [bytes / 4] };
      const inputs = [{ name: 'n', datatype: 'INT64', shape: [1], contents }];
      return client.infer({ modelName: 'hoarder', inputs });
    },
    /** Resolves when a runner other than this one serves. */
    replaced: (pid: number | undefined) =>
      expect.poll(() => slot()?.state === 'ready' && (slot()?.runnerPids[0] ?? pid) !== pid).toBe(true),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('the memory of a runner', () => {
  it('is measured, and one that keeps more than its model may take is ended and replaced', async () => {
    await using site = await serveHoarder();
    const first = site.pid();
    await site.take(4 * MB);
    await site.measure();
    expect(site.pid()).toBe(first);
    await site.take(2 * LIMIT_MB * MB);
    await site.measure();
    await site.replaced(first);
    expect(site.ended()).toMatchObject([{ runner: first }]);
    await site.take(4 * MB);
  });

  it('is not filled again by the input that has filled it, when the next runner warms up', async () => {
    await using site = await serveHoarder();
    const first = site.pid();
    // The first input is one of those that are kept to warm up on.
    await site.take(2 * LIMIT_MB * MB);
    await site.measure();
    await site.replaced(first);
    await site.measure();
    expect(site.ended()).toMatchObject([{ runner: first }]);
    await site.take(4 * MB);
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
