import { GraphBuilder, int } from '@hotloop/model/onnx/graph-builder.ts';
import { encodeModel } from '@hotloop/model/onnx/model.ts';
import { float32Tensor, int64Tensor } from '@hotloop/model/onnx/tensor.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { describe, expect, it } from 'vitest';
import { tensorManifest } from '../testing/echo-models.ts';
import { itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

const HANGS = 10n ** 12n;
async function serve(test: TestCompute, models: readonly Uint8Array[], extra = ''): Promise<VersionRecord[]> {
  const records = [];
  for (const [index, onnx] of models.entries())
    records.push(await storeVersion(test.store, index + 1, tensorManifest('ids', extra), onnx));
  test.registry.set(modelOf(records, { live: 1 }));
  test.registry.publish();
  await test.until('ids', 1, 'ready');
  return records;
}

async function swapTo2(test: TestCompute, records: readonly VersionRecord[]): Promise<void> {
  test.registry.set(modelOf(records, { live: 1, target: 2 }));
  test.registry.publish();
  await test.until('ids', 2, 'ready');
}

/** Sends one request with one integer. Resolves with whether it was answered. */
async function ask(test: TestCompute, id: bigint): Promise<boolean> {
  using client = openOipClient(test.compute.address);
  try {
    await client.infer({
      modelName: 'ids',
      inputs: [{ name: 'id', datatype: 'INT64', shape: [1] }],
      rawInputContents: [Buffer.from(BigInt64Array.of(id).buffer)],
    });
    return true;
  } catch {
    return false;
  }
}

function idInput(id: bigint) {
  return {
    datatype: 'INT64' as const,
    shape: [1],
    contents: new Uint8Array(BigInt64Array.of(id).buffer),
  };
}

function recentIds(test: TestCompute): bigint[] {
  return test.compute.fleet.recent
    .of('ids')
    .map(([input]) => Buffer.from(input?.contents ?? []).readBigInt64LE());
}

/** Resolves once the version serves on another runner than this one. */
async function replaced(test: TestCompute, pid: number): Promise<void> {
  const slot = () => test.compute.fleet.find('ids', 1);
  await expect
    .poll(() => slot()?.state === 'ready' && slot()?.runnerPids[0] !== pid, { timeout: 30_000 })
    .toBe(true);
}

describe('a request that a model cannot process', () => {
  it('that is rejected stops neither the next version nor a new runner', async () => {
    await using test = await startTestCompute();
    const records = await serve(test, [table(10), table(10)]);
    // The very first request, which is always kept if it is answered without error.
    expect(await ask(test, 99n)).toBe(false);
    expect(recentIds(test)).toEqual([]);
    await swapTo2(test, records);
    const pid = test.compute.fleet.find('ids', 1)?.runnerPids[0] ?? 0;
    process.kill(pid, 'SIGKILL');
    await replaced(test, pid);
    expect(await ask(test, 9n)).toBe(true);
    expect(recentIds(test)).toEqual([9n]);
  });

  it('that hangs is run again neither by the next runner nor by the next version', async () => {
    await using test = await startTestCompute({ fleet: { hangMs: 500, retryMs: 1 } });
    const records = await serve(test, [rounds(), rounds()]);
    const pid = test.compute.fleet.find('ids', 1)?.runnerPids[0] ?? 0;
    expect(await ask(test, HANGS)).toBe(false);
    await replaced(test, pid);
    expect(await ask(test, 3n)).toBe(true);
    await swapTo2(test, records);
  });

  it('that gives non-finite numbers is not kept, unless the manifest allows them', async () => {
    await using test = await startTestCompute();
    const onnx = logarithm();
    for (const [model, extra] of [
      ['finite', ''],
      ['any', 'runtime: {allow_nonfinite: true}\n'],
    ] as const) {
      const record = await storeVersion(test.store, 1, featureManifest(model, 1, extra), onnx);
      test.registry.set(modelOf([record], { live: 1 }));
      test.registry.publish();
      await test.until(model, 1, 'ready');
    }
    const item = itemMaker();
    await expect(test.compute.port.infer(item('finite', 1, [[-1]]))).rejects.toMatchObject({
      reason: 'nonfinite_output',
    });
    expect(test.compute.fleet.recent.of('finite')).toEqual([]);
    await test.compute.port.infer(item('any', 1, [[-1]]));
    expect(test.compute.fleet.recent.of('any')).toHaveLength(1);
  });
});

describe('a recent input that the next version cannot process', () => {
  it('is dropped when the version rejects it, and the version becomes ready', async () => {
    await using test = await startTestCompute();
    const records = await serve(test, [table(100), table(10)]);
    expect(await ask(test, 99n)).toBe(true);
    expect(recentIds(test)).toEqual([99n]);
    await swapTo2(test, records);
    expect(recentIds(test)).toEqual([]);
    expect(test.compute.fleet.find('ids', 2)?.serving?.batcher.shareable).toBe(true);
  });

  it('is dropped when the version hangs on it, and the hung runner is replaced', async () => {
    await using test = await startTestCompute({ fleet: { hangMs: 500, warmUpMs: 5_000 } });
    const records = await serve(test, [table(100), rounds()], 'runtime: {instances: 2}\n');
    for (const id of [5n, HANGS, 7n]) test.compute.fleet.recent.offer('ids', [idInput(id)]);
    await swapTo2(test, records);
    expect(recentIds(test)).toEqual([5n, 7n]);
    const slot = test.compute.fleet.find('ids', 2);
    expect(slot?.runnerPids).toHaveLength(2);
    for (const pid of slot?.runnerPids ?? []) expect(() => process.kill(pid, 0)).not.toThrow();
  });

  it('costs three runners at most: then the version warms up without recent inputs', async () => {
    await using test = await startTestCompute({ fleet: { hangMs: 300, warmUpMs: 20_000 } });
    const records = await serve(test, [table(100), rounds()]);
    // For the first run of each runner, which has a longer limit: this input ends.
    test.compute.fleet.recent.offer('ids', [idInput(7n)]);
    for (let extra = 0n; extra < 8n; extra++)
      test.compute.fleet.recent.offer('ids', [idInput(HANGS + extra)]);
    await swapTo2(test, records);
    expect(recentIds(test)).toHaveLength(6);
  });

  it('may take as long as loading when it is the first run of a runner, because providers compile then', async () => {
    const hangMs = 1_000;
    await using test = await startTestCompute({ fleet: { hangMs } });
    const records = await serve(test, [rounds(), rounds()]);
    const some = 100_000n;
    expect(await ask(test, some)).toBe(true);
    // From the run's own duration: including the transport would give too small a value on a busy machine.
    const runUs = test.compute.fleet.find('ids', 1)?.statistics.infer.us ?? 0;
    const slow = (some * BigInt(3_000 * hangMs)) / BigInt(runUs);
    test.compute.fleet.recent.forget('ids');
    test.compute.fleet.recent.offer('ids', [idInput(slow)]);
    await swapTo2(test, records);
    expect(recentIds(test)).toEqual([slow]);
  });

  it('is dropped as soon as it has ended a runner in normal operation', async () => {
    await using test = await startTestCompute({ fleet: { retryMs: 1 } });
    await serve(test, [table(10)]);
    expect(await ask(test, 4n)).toBe(true);
    expect(recentIds(test)).toEqual([4n]);
    const slot = test.compute.fleet.find('ids', 1);
    const pid = slot?.runnerPids[0] ?? 0;
    process.kill(pid, 'SIGSTOP');
    const again = ask(test, 4n);
    await expect.poll(() => slot?.serving?.batcher.running).toBe(1);
    process.kill(pid, 'SIGKILL');
    // Answered by the next runner. The quarantine knows the input from now on, so it is not kept again.
    expect(await again).toBe(true);
    for (let count = 0; count < 32; count++) await ask(test, 4n);
    expect(recentIds(test)).toEqual([]);
  });
});

describe('made-up inputs that a version cannot process', () => {
  it('cost a runner where they only ask whether requests may share a run: then they may not', async () => {
    await using test = await startTestCompute({ fleet: { hangMs: 300, warmUpMs: 5_000 } });
    // The model runs zeros without a problem, but hangs on ones.
    await serve(test, [rounds(HANGS)]);
    expect(test.compute.fleet.find('ids', 1)?.serving?.batcher.shareable).toBe(false);
    expect(await ask(test, 0n)).toBe(true);
  });

  it('keep a version from its traffic where even zeros end its runner, and the reason says so', async () => {
    // Enough time to load, and a short wait for the run of zeros.
    await using test = await startTestCompute({ fleet: { loadTimeoutMs: 10_000, retryMs: 60_000 } });
    const record = await storeVersion(test.store, 1, tensorManifest('ids'), rounds(1n, HANGS));
    test.registry.set(modelOf([record], { live: 1 }));
    test.registry.publish();
    await test.until('ids', 1, 'failed');
    const slot = test.compute.fleet.find('ids', 1);
    expect(slot?.reason).toBe('runner_lost');
    expect(slot?.detail).toBe('the runner ended or took too long while it warmed up');
    expect(slot?.runnerPids).toEqual([]);
  });
});

/** Looks up an id in a table of the given size; a larger id is an error. */
function table(size: number): Uint8Array {
  const graph = new GraphBuilder();
  const values = graph.initializer('values', float32Tensor(Array.from({ length: size }, (_, id) => id)));
  graph.input('id', 'int64', ['N']);
  graph.node('Gather', [values, 'id'], { axis: int(0) }, { name: 'look', outputs: ['value'] });
  graph.output('value', 'float32', ['N']);
  return encodeModel(graph.build('table'));
}

/** Runs a loop as many times as the largest id says, times `factor`, plus `more`. */
function rounds(factor = 1n, more = 0n): Uint8Array {
  const body = new GraphBuilder('body');
  body.input('round', 'int64', []);
  body.input('go', 'bool', []);
  body.input('sum', 'int64', [1]);
  body.node('Identity', ['go'], {}, { name: 'on', outputs: ['goes_on'] });
  body.node('Add', ['sum', 'round'], {}, { name: 'add', outputs: ['next_sum'] });
  body.output('goes_on', 'bool', []);
  body.output('next_sum', 'int64', [1]);
  const graph = new GraphBuilder();
  graph.input('id', 'int64', ['N']);
  const largest = graph.node('ReduceMax', ['id'], { keepdims: int(1) });
  const times = graph.initializer('factor', int64Tensor([Number(factor)]));
  const plus = graph.initializer('more', int64Tensor([Number(more)]));
  const count = graph.node('Add', [graph.node('Mul', [largest, times]), plus]);
  const zero = graph.initializer('zero', int64Tensor([0]));
  const sum = graph.node('Loop', [count, '', zero], {
    body: { kind: 'graph', value: body.build('body').graph },
  });
  graph.node('Add', ['id', sum], {}, { name: 'answer', outputs: ['value'] });
  graph.output('value', 'int64', ['N']);
  return encodeModel(graph.build('rounds'));
}

/** NaN for a number below zero. */
function logarithm(): Uint8Array {
  const graph = new GraphBuilder();
  graph.input('x', 'float32', ['N', 1]);
  graph.node('Log', ['x'], {}, { name: 'log', outputs: ['y'] });
  graph.output('y', 'float32', ['N', 1]);
  return encodeModel(graph.build('logarithm'));
}
