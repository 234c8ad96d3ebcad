import { describe, expect, it } from 'vitest';
import { itemMaker } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute } from '../testing/start-test-compute.ts';

const ROW = [[1, 2, 3, 4]];

/** A draining version with two runners. */
async function drainPair(drainMs: number) {
  const stack = new AsyncDisposableStack();
  const test = stack.use(await startTestCompute({ fleet: { drainMs } }));
  const manifest = featureManifest('pair', 4, 'runtime: {instances: 2}\n');
  const record = await storeVersion(test.store, 1, manifest);
  const want = (isWanted: boolean) => {
    test.registry.set(modelOf([record], isWanted ? { live: 1 } : {}));
    test.registry.publish();
  };
  want(true);
  await test.until('pair', 1, 'ready');
  const slot = test.compute.fleet.find('pair', 1);
  const [first = 0, second = 0] = slot?.runnerPids ?? [];
  return { test, slot, first, second, want, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('a draining version that loses one of its runners', () => {
  it('answers its work on the other runner, and is gone when it is drained', async () => {
    await using pair = await drainPair(1_000);
    const { test, slot, first, second } = pair;
    for (const pid of [first, second]) process.kill(pid, 'SIGSTOP');
    const item = itemMaker();
    const answers: Promise<unknown>[] = [];
    // One after the other, otherwise they would share a run.
    for (const running of [1, 2]) {
      answers.push(test.compute.port.infer(item('pair', 1, ROW, { timeoutMs: 20_000 })));
      await expect.poll(() => slot?.serving?.batcher.running).toBe(running);
    }
    pair.want(false);
    expect(slot?.state).toBe('draining');
    process.kill(first, 'SIGKILL');
    await expect.poll(() => slot?.runnerPids).toEqual([second]);
    expect(slot?.state).toBe('draining');
    process.kill(second, 'SIGCONT');
    await Promise.all(answers);
    await test.until('pair', 1, 'gone');
  });

  it('is gone when no runner is left, and fails the requests that the last one was running', async () => {
    await using pair = await drainPair(60_000);
    const { test, slot, first, second } = pair;
    process.kill(first, 'SIGSTOP');
    const item = itemMaker();
    const answer = test.compute.port.infer(item('pair', 1, ROW, { timeoutMs: 50_000 }));
    const refused = expect(answer).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect.poll(() => slot?.serving?.batcher.running).toBe(1);
    pair.want(false);
    process.kill(second, 'SIGKILL');
    await expect.poll(() => slot?.runnerPids).toEqual([first]);
    process.kill(first, 'SIGKILL');
    await refused;
    await test.until('pair', 1, 'gone');
  });

  it('has all its runners again when it becomes wanted again', async () => {
    await using pair = await drainPair(60_000);
    const { slot, first, second } = pair;
    pair.want(false);
    process.kill(first, 'SIGKILL');
    await expect.poll(() => slot?.runnerPids).toEqual([second]);
    pair.want(true);
    expect(slot?.state).toBe('ready');
    await expect.poll(() => slot?.runnerPids).toHaveLength(2);
    expect(slot?.runnerPids).toContain(second);
  });
});
