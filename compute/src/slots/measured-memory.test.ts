import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import { createLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { tensorManifest } from '../testing/echo-models.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute } from '../testing/start-test-compute.ts';
import type { FleetOptions } from './fleet.ts';

const MB = 1024 ** 2;
const LIMIT_MB = 256;

/** A node with a model that retains as much memory as a request says, and the node's log. */
async function serveHoarder(options: Partial<FleetOptions> = {}, runtime = '') {
  const stack = new AsyncDisposableStack();
  const lines: Record<string, unknown>[] = [];
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const log = createLog({ service: 'test', level: 'info' }, stream);
  const test = stack.use(await startTestCompute({ fleet: options }, log));
  const manifest = tensorManifest('hoarder', `runtime: {memory_limit_mb: ${LIMIT_MB}${runtime}}\n`);
  const record = await storeVersion(test.store, 1, manifest, hoarder());
  test.registry.set(modelOf([record], { live: 1 }));
  test.registry.publish();
  await test.until('hoarder', 1, 'ready');
  const client = stack.use(openOipClient(test.compute.address));
  const { fleet } = test.compute;
  const slot = () => fleet.find('hoarder', 1);
  const linesOf = (message: RegExp, version = 1) =>
    lines.filter((line) => line.version === version && message.test(String(line.message)));
  return {
    test,
    slot,
    linesOf,
    /** Log lines about a runner that was killed because of its memory. */
    ended: () => linesOf(/exceeds its memory limit/),
    measure: () => fleet.tend(),
    pid: () => slot()?.runnerPids[0],
    take: (bytes: number) => {
      const contents = { int64Contents: [bytes / 4] };
      const inputs = [{ name: 'n', datatype: 'INT64', shape: [1], contents }];
      return client.infer({ modelName: 'hoarder', inputs });
    },
    /** Sets a target version that exceeds its memory limit on any input. */
    async wishForGreedy() {
      const greedy = await storeVersion(test.store, 2, manifest, hoarder((1.25 * LIMIT_MB * MB) / 4));
      test.registry.set(modelOf([record, greedy], { live: 1, target: 2 }));
      test.registry.publish();
    },
    /** Resolves when another runner than this one serves. */
    replaced: (pid: number | undefined) =>
      expect.poll(() => slot()?.state === 'ready' && (slot()?.runnerPids[0] ?? pid) !== pid).toBe(true),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('the memory of a runner', () => {
  it('is measured, and a runner that retains more than its limit is killed and replaced', async () => {
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

  it('is not exceeded again by the same input when the next runner warms up', async () => {
    await using site = await serveHoarder();
    const first = site.pid();
    // The very first input is one of those kept for warm-up.
    await site.take(2 * LIMIT_MB * MB);
    await site.measure();
    await site.replaced(first);
    await site.measure();
    expect(site.ended()).toMatchObject([{ runner: first }]);
    await site.take(4 * MB);
  });

  it('keeps traffic away from a version that exceeds its limit as soon as it is warm, and the reason says what to do', async () => {
    await using site = await serveHoarder({ retryMs: 1 });
    await site.wishForGreedy();
    const refusals = () => site.linesOf(/could not be made ready/, 2);
    // Measuring meanwhile must not affect a version that is not ready.
    const refusedSoFar = async () => {
      await site.measure();
      return refusals().length;
    };
    await expect.poll(refusedSoFar, { timeout: 50_000 }).toBeGreaterThanOrEqual(2);
    expect(refusals().map(({ retryInMs }) => retryInMs)).toEqual(expect.arrayContaining([1, 2]));
    for (const { error } of refusals()) expect(error).toMatchObject({ reason: 'memory_limit' });
    const states = site.linesOf(/changed state/, 2).map(({ state }) => state);
    expect(states).not.toContain('ready');
    const slot = site.test.compute.fleet.find('hoarder', 2);
    expect(slot?.reason).toBe('memory_limit');
    expect(slot?.detail).toMatch(
      /^its runner takes \d+ MB of memory and may take 256 MB: raise runtime\.memory_limit_mb, or use a smaller model or smaller batches/,
    );
    expect(site.slot()?.state).toBe('ready');
    await site.take(4 * MB);
  });

  it('is reported as the reason when it ends a serving version, with growing waits when that repeats soon', async () => {
    await using site = await serveHoarder({ retryMs: 1, steadyMs: 600_000 });
    const lost = () => site.linesOf(/lost its last runner/);
    for (let count = 0; count < 3; count++) {
      const pid = site.pid();
      await site.take(2 * LIMIT_MB * MB);
      await site.measure();
      await site.replaced(pid);
    }
    expect(lost().map(({ retryInMs }) => retryInMs)).toEqual([1, 2, 4]);
    const failed = site.linesOf(/changed state/).filter(({ state }) => state === 'failed');
    expect(failed).toHaveLength(3);
    for (const { detail } of failed) expect(detail).toMatch(/^its runner takes \d+ MB .* raise/);
  });

  it('is not blamed on the work that runs when the runner is killed: it runs elsewhere', async () => {
    await using site = await serveHoarder({ retryMs: 60_000 }, ', instances: 2');
    const { recent } = site.test.compute.fleet;
    const [first = 0] = site.slot()?.runnerPids ?? [];
    // On an idle node the first runner gets all work.
    await site.take(2 * LIMIT_MB * MB);
    process.kill(first, 'SIGSTOP');
    // The runner answers the memory request first, and then runs this for a while.
    const measured = site.measure();
    const some = (LIMIT_MB * MB) / 4;
    const inHand = site.take(some);
    await expect.poll(() => site.slot()?.serving?.batcher.running).toBe(1);
    process.kill(first, 'SIGCONT');
    await measured;
    await inHand;
    expect(site.ended()).toMatchObject([{ runner: first }]);
    // An input that has ended a runner, even once, is not kept for warm-up.
    for (let count = 0; count < 16; count++) await site.take(some);
    expect(recent.of('hoarder')).not.toEqual([]);
  });
});

/** Fills as many numbers as the input says, plus `more`; the runtime keeps their memory for the next run. */
function hoarder(more = 0): Uint8Array {
  const graph = new GraphBuilder();
  const told = graph.input('n', 'int64', [1]);
  const count = graph.node('Add', [told, graph.initializer('more', int64Tensor([more]))]);
  const large = graph.node('ConstantOfShape', [count]);
  const axes = graph.initializer('axes', int64Tensor([0]));
  graph.node('ReduceSum', [large, axes], { keepdims: int(1) }, { name: 'sum', outputs: ['y'] });
  graph.output('y', 'float32', [1]);
  return encodeModel(graph.build('hoarder'));
}
