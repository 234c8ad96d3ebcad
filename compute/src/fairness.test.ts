import { expect, it } from 'vitest';
import { itemMaker } from './testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from './testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from './testing/start-test-compute.ts';

const ROW = [[1, 2, 3, 4]];
const QUEUE = 20;

async function serve(test: TestCompute, name: string): Promise<void> {
  const manifest = featureManifest(name, 4, `runtime: {queue: ${QUEUE}}\n`);
  test.registry.set(modelOf([await storeVersion(test.store, 1, manifest)], { live: 1 }));
}

it('answers all requests of a light model while another one is flooded and sheds', async () => {
  await using test = await startTestCompute();
  await serve(test, 'heavy');
  await serve(test, 'light');
  test.registry.publish();
  await Promise.all([test.until('heavy', 1, 'ready'), test.until('light', 1, 'ready')]);
  const item = itemMaker();
  const outcomes = { ok: 0, shed: 0 };
  const flood = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        test.compute.port.infer(item('heavy', 1, ROW, { timeoutMs: 60_000 })).then(
          () => outcomes.ok++,
          (error: unknown) => {
            expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'queue_full' });
            outcomes.shed++;
          },
        ),
      ),
    );
  const askLight = () =>
    Promise.all(Array.from({ length: 10 }, () => test.compute.port.infer(item('light', 1, ROW))));

  // A stopped runner (SIGSTOP) keeps its model's queue full.
  const pid = test.compute.fleet.find('heavy', 1)?.runnerPids[0] ?? 0;
  process.kill(pid, 'SIGSTOP');
  const held = flood(20 * QUEUE);
  await expect.poll(() => outcomes.shed).toBeGreaterThan(QUEUE);
  expect(test.compute.fleet.find('heavy', 1)?.serving?.batcher.inFlight).toBeGreaterThanOrEqual(QUEUE);
  for (let round = 0; round < 20; round++) {
    const { shed } = outcomes;
    await Promise.all([flood(QUEUE), askLight()]);
    expect(outcomes.shed).toBe(shed + QUEUE);
  }
  expect(outcomes.ok).toBe(0);
  process.kill(pid, 'SIGCONT');
  await held;
  expect(outcomes.ok).toBeGreaterThanOrEqual(QUEUE);

  // The same while the runner works at full speed.
  const before = outcomes.shed;
  for (let round = 0; round < 20; round++) await Promise.all([flood(20 * QUEUE), askLight()]);
  expect(outcomes.shed).toBeGreaterThan(before);
});
