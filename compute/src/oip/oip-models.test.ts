import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import type { ModelRecord, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import type { ModelRepositoryParameter } from '@hotloop/proto/gen/inference/ModelRepositoryParameter.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureManifest, modelOf, SMALL, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

const MB = 1024 ** 2;
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const row = Buffer.from(Float32Array.of(1, 2, 3, 4).buffer);

interface Site extends AsyncDisposable {
  readonly test: TestCompute;
  readonly client: OipClient;
  readonly records: ReadonlyMap<string, VersionRecord>;
  /** Names of the models that are live here, but not in memory. */
  evicted(): string[];
  /** One of them that was never loaded. */
  neverLoaded(): string;
  http(path: string, init?: RequestInit): Promise<{ status: number; json: unknown }>;
}

/** More live models than fit into memory. Resolves when no more loads are in progress. */
async function crowdedSite(): Promise<Site> {
  const stack = new AsyncDisposableStack();
  const options = { httpListen: '127.0.0.1:0', fleet: { memoryBudgetBytes: 130 * MB } };
  const test = stack.use(await startTestCompute(options));
  const client = stack.use(openOipClient(test.compute.address));
  const records = new Map<string, VersionRecord>();
  for (const name of NAMES) {
    const record = await storeVersion(test.store, 1, featureManifest(name, 4), perceptron(SMALL));
    records.set(name, record);
    test.registry.set(modelOf([record], { live: 1 }));
  }
  test.registry.publish();
  const { fleet } = test.compute;
  await expect.poll(() => [...fleet.slots()].every((slot) => slot.state === 'ready')).toBe(true);
  const evicted = () => NAMES.filter((name) => fleet.find(name, 1) === undefined);
  return {
    test,
    client,
    records,
    evicted,
    neverLoaded: () => evicted().find((name) => !fleet.known(records.get(name) as VersionRecord)) ?? 'none',
    async http(path, init) {
      const response = await fetch(`http://${test.compute.httpAddress}/v2/${path}`, init);
      const bytes = Buffer.from(await response.arrayBuffer());
      const length = response.headers.get('inference-header-content-length') ?? bytes.length;
      return { status: response.status, json: JSON.parse(bytes.toString('utf8', 0, Number(length))) };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe('a live version that was evicted to free memory', () => {
  it('is ready, and is described after it was loaded for that, where it never was before', async () => {
    await using site = await crowdedSite();
    const { client } = site;
    const name = site.neverLoaded();
    expect(await client.call('ModelReady', { name })).toEqual({ ready: true });
    expect(await site.http(`models/${name}/ready`)).toEqual({ status: 200, json: { name, ready: true } });
    expect(await client.call('ModelMetadata', { name })).toMatchObject({
      name,
      versions: ['1'],
      inputs: [{ name: 'input', datatype: 'FP32', shape: ['-1', '4'] }],
    });
    expect(site.evicted()).not.toContain(name);
    const other = site.neverLoaded();
    expect(await client.call('ModelConfig', { name: other })).toMatchObject({
      config: { name: other, maxBatchSize: 256, input: [{ dims: ['4'] }] },
    });
    const last = site.neverLoaded();
    expect(await site.http(`models/${last}/infer`, rawInfer())).toMatchObject({
      status: 200,
      json: { model_name: last, outputs: [{ shape: [1, 1] }] },
    });
  });

  it('is described from its last load, without loading it again', async () => {
    await using site = await crowdedSite();
    const { client } = site;
    const [name = ''] = NAMES.filter((one) => !site.evicted().includes(one));
    await site.http(`models/${name}/infer`, rawInfer());
    const ask = { name, version: '1' };
    const read = async () => [
      await client.call('ModelMetadata', { name }),
      await client.call('ModelConfig', ask),
      (await client.call<{ modelStats: object[] }>('ModelStatistics', ask)).modelStats.map((one) => ({
        ...one,
        memoryUsage: undefined,
      })),
    ];
    const before = await read();
    for (const woken of site.evicted().slice(0, 3)) await site.http(`models/${woken}/infer`, rawInfer());
    expect(site.evicted()).toContain(name);
    expect(await client.call('ModelReady', { name })).toEqual({ ready: true });
    expect(await read()).toEqual(before);
    expect(await client.call('ModelStatistics', ask)).toMatchObject({
      modelStats: [{ inferenceCount: '1', memoryUsage: [{ byteSize: '0' }] }],
    });
    expect(site.evicted()).toContain(name);
  });

  it('gives DEADLINE_EXCEEDED to a caller that cannot wait for its load, and stays ready', async () => {
    await using site = await crowdedSite();
    const name = site.neverLoaded();
    const record = site.records.get(name) as VersionRecord;
    await expect(site.test.compute.fleet.describe(record, 1)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'expired',
    });
    expect(await site.client.call('ModelReady', { name })).toEqual({ ready: true });
  });
});

describe('loading and unloading by name', () => {
  let test: TestCompute;
  let client: OipClient;
  let spare: ModelRecord;
  beforeAll(async () => {
    test = await startTestCompute({ httpListen: '127.0.0.1:0' });
    client = openOipClient(test.compute.address);
    const tiny = [1, 2, 3].map((version) => storeVersion(test.store, version, featureManifest('tiny', 4)));
    test.registry.set(modelOf(await Promise.all(tiny), { live: 2, previous: 1 }));
    spare = modelOf([await storeVersion(test.store, 1, featureManifest('spare', 4))], {});
    test.registry.set(spare);
    test.registry.publish();
    await Promise.all([test.until('tiny', 1, 'ready'), test.until('tiny', 2, 'ready')]);
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await test[Symbol.asyncDispose]();
  });
  const version = (stringParam: string) => ({ version: { stringParam } });
  const stateOf = (model: string, number: number) => test.compute.fleet.find(model, number)?.state;

  it('refuses to unload a model with versions in use, names them and their roles, and unloads nothing', async () => {
    await client.call('RepositoryModelLoad', { modelName: 'tiny', parameters: version('3') });
    await expect(client.call('RepositoryModelUnload', { modelName: 'tiny' })).rejects.toThrow(
      /^FAILED_PRECONDITION: tiny is in use: version 1 \(previous\), version 2 \(live\);.*promoted/,
    );
    expect([1, 2, 3].map((number) => stateOf('tiny', number))).toEqual(['ready', 'ready', 'ready']);
  });

  it('unloads all versions without a role, and does not load them again when the registry changes', async () => {
    await client.call('RepositoryModelLoad', { modelName: 'spare', parameters: version('1') });
    expect(stateOf('spare', 1)).toBe('ready');
    await client.call('RepositoryModelUnload', { modelName: 'spare' });
    test.registry.set(spare);
    test.registry.publish();
    expect(stateOf('spare', 1)).toBe('draining');
  });

  it.each(['config', 'file:1/model.onnx'])('refuses to load with the parameter %s', async (parameter) => {
    const parameters = { ...version('1'), [parameter]: { stringParam: '{}' } };
    await expect(client.call('RepositoryModelLoad', { modelName: 'tiny', parameters })).rejects.toThrow(
      new RegExp(`^UNIMPLEMENTED: parameter '${parameter}'.*hotloop model push`),
    );
    const response = await fetch(`http://${test.compute.httpAddress}/v2/repository/models/tiny/load`, {
      method: 'POST',
      body: JSON.stringify({ parameters: { [parameter]: '{}' } }),
    });
    expect(response.status).toBe(501);
    expect(await response.json()).toMatchObject({ error: expect.stringContaining(`'${parameter}'`) });
  });

  const unread: [string, ModelRepositoryParameter][] = [
    ['a boolean', { boolParam: true }],
    ['bytes', { bytesParam: Buffer.from('3') }],
    ['nothing', {}],
  ];
  it.each(unread)('refuses %s as the version to load or unload, and does neither', async (_, given) => {
    await client.call('RepositoryModelLoad', { modelName: 'tiny', parameters: version('3') });
    for (const method of ['RepositoryModelLoad', 'RepositoryModelUnload'])
      await expect(
        client.call(method, { modelName: 'tiny', parameters: { version: given } }),
      ).rejects.toThrow(/^INVALID_ARGUMENT: parameter 'version' must be a text or an integer/);
    expect(stateOf('tiny', 3)).toBe('ready');
  });

  it.each(['"3"', '["config"]', 'null', '3'])(
    'refuses %s as parameters over HTTP, and neither loads nor unloads',
    async (parameters) => {
      await client.call('RepositoryModelLoad', { modelName: 'tiny', parameters: version('3') });
      for (const action of ['load', 'unload']) {
        const path = `http://${test.compute.httpAddress}/v2/repository/models/tiny/${action}`;
        const response = await fetch(path, { method: 'POST', body: `{"parameters": ${parameters}}` });
        expect([response.status, await response.json()]).toMatchObject([
          400,
          { error: "'parameters' must be a JSON object" },
        ]);
      }
      expect(stateOf('tiny', 3)).toBe('ready');
    },
  );

  it('also accepts the version as an integer', async () => {
    const parameters = { version: { int64Param: 3 } };
    await client.call('RepositoryModelLoad', { modelName: 'tiny', parameters });
    expect(stateOf('tiny', 3)).toBe('ready');
    await client.call('RepositoryModelUnload', { modelName: 'tiny', parameters });
    expect(stateOf('tiny', 3)).not.toBe('ready');
  });
});

const rawInfer = () => ({
  method: 'POST',
  body: new Uint8Array(row),
  headers: { 'inference-header-content-length': '0' },
});
