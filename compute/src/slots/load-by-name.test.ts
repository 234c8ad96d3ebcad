import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { directoryBundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { stays } from '@hotloop/platform/testing/stays.ts';
import { MINUTE_MS } from '@hotloop/proto/time-units.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

/**
 * Maximum wait between retries, which is also how long a failing version without a role is retried after its last
 * use.
 */
const MAX_RETRY_MS = 600;

let test: TestCompute;
let live: VersionRecord;
let other: VersionRecord;
let missing: VersionRecord;
beforeEach(async () => {
  test = await startTestCompute({ fleet: { retryMs: 20, maxRetryMs: MAX_RETRY_MS, drainMs: 1_000 } });
  live = await storeVersion(test.store, 1, featureManifest('m', 4));
  other = await storeVersion(test.store, 2, featureManifest('m', 4));
  // A retry might help: the store may have the bundle by then.
  missing = { ...other, version: 3, bundleSha256: '0'.repeat(64) };
  test.registry.set(modelOf([live, other, missing], { live: 1 }));
  test.registry.publish();
  await test.until('m', 1, 'ready');
});
afterEach(() => test[Symbol.asyncDispose]());

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'hotloop-store-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe('loading a version by its name', () => {
  it('reports the first failure, and does not retry in the background', async () => {
    const { fleet } = test.compute;
    await expect(fleet.keep(missing, MINUTE_MS)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('could not be loaded: '),
    });
    await stays(200, () => fleet.find('m', 3), undefined);
    expect(fleet.find('m', 1)?.state).toBe('ready');
  });

  it('rejects at the timeout, and continues for other waiting callers', async () => {
    const { fleet } = test.compute;
    const waiting = fleet.acquire('m', 2, MINUTE_MS);
    await expect(fleet.keep(other, 1)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'expired',
    });
    expect((await waiting).slot.record).toBe(other);
  });

  it('rejects for a version that has lost its runners and cannot be loaded again', async () => {
    const { fleet } = test.compute;
    await fleet.keep(other, MINUTE_MS);
    await rm(join(test.folder, 'store'), { recursive: true });
    test.killRunner('m', 2);
    await test.until('m', 2, 'failed');
    await expect(fleet.keep(other, MINUTE_MS)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('keeps a version that is draining', async () => {
    const { fleet } = test.compute;
    await fleet.keep(other, MINUTE_MS);
    fleet.release(other);
    expect(fleet.find('m', 2)?.state).toBe('draining');
    await fleet.keep(other, MINUTE_MS);
    expect(fleet.find('m', 2)?.state).toBe('ready');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(fleet.find('m', 2)?.state).toBe('ready');
  });

  it('keeps a loaded version when a repeated request for it times out', async () => {
    const { fleet } = test.compute;
    await fleet.keep(other, MINUTE_MS);
    await fleet.keep(other, 1);
    await fleet.find('m', 2)?.close();
    await expect(fleet.keep(other, 1)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await test.until('m', 2, 'ready');
  });
});

describe('an unused live version', () => {
  it('is unloaded after a while, and loaded again by the next request', async () => {
    await using idle = await startTestCompute({ fleet: { idleUnloadMs: 300 } });
    const record = await storeVersion(idle.store, 1, featureManifest('m', 4));
    idle.registry.set(modelOf([record], { live: 1 }));
    idle.registry.publish();
    const { fleet } = idle.compute;
    await idle.until('m', 1, 'ready');
    const [pid] = fleet.find('m', 1)?.runnerPids ?? [];
    await expect.poll(() => fleet.find('m', 1), { timeout: 20_000 }).toBeUndefined();
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
    // Clients still see it as ready, because a request is answered.
    expect(fleet.isServed(record)).toBe(true);
    expect((await fleet.acquire('m', 1, MINUTE_MS)).slot.state).toBe('ready');
  });
});

describe('a version that a request has named and that cannot be loaded', () => {
  it('is retried as long as a caller waits for it', async () => {
    await using folder = await temporaryFolder();
    const later = await storeVersion(directoryBundleStore(folder.path), 4, featureManifest('m', 4));
    test.registry.set(modelOf([live, later], { live: 1 }));
    test.registry.publish();
    const asked = Promise.resolve(test.compute.fleet.acquire('m', 4, MINUTE_MS));
    await new Promise((resolve) => setTimeout(resolve, 2 * MAX_RETRY_MS));
    await storeVersion(test.store, 4, featureManifest('m', 4));
    expect((await asked).slot.state).toBe('ready');
  });

  it('is given up when it was not requested for the maximum wait between retries', async () => {
    const { fleet } = test.compute;
    const asked = Promise.resolve(fleet.acquire('m', 3, 4 * MAX_RETRY_MS));
    await test.until('m', 3, 'failed');
    await expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(fleet.find('m', 3)).toBeDefined();
    await expect.poll(() => fleet.find('m', 3), { timeout: 20_000 }).toBeUndefined();
  });
});
