import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EchoTensor, echoModel, tensorManifest } from '../testing/echo-models.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

const SHAPES: Readonly<Record<string, EchoTensor['shape']>> = {
  rows: ['N', 2],
  fixed: [3, 2],
  values: ['N'],
};

let test: TestCompute;
let client: OipClient;
beforeAll(async () => {
  test = await startTestCompute();
  for (const [name, shape] of Object.entries(SHAPES)) {
    const model = echoModel([{ name: 'x', elementType: 'float32', shape }]);
    const record = await storeVersion(test.store, 1, tensorManifest(name), model);
    test.registry.set(modelOf([record], { live: 1 }));
  }
  test.registry.publish();
  for (const name of Object.keys(SHAPES)) await test.until(name, 1, 'ready');
  client = openOipClient(test.compute.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await test[Symbol.asyncDispose]();
});

interface Told {
  readonly modelStats: {
    readonly inferenceCount: string;
    readonly executionCount: string;
    readonly batchStats: { readonly batchSize: string; readonly computeInfer: { readonly count: string } }[];
  }[];
}

/** Sends two requests, one after the other, and reads the statistics. */
async function countTwo(modelName: string, shape: number[]) {
  const contents = Buffer.alloc(shape.reduce((product, dimension) => product * dimension, 4));
  const inputs = [{ name: 'x', datatype: 'FP32', shape }];
  for (let time = 0; time < 2; time++)
    await client.infer({ modelName, inputs, rawInputContents: [contents] });
  const [told] = (await client.call<Told>('ModelStatistics', { name: modelName, version: '1' })).modelStats;
  return told;
}

it('counts rows, and runs by their rows, for a version with batches', async () => {
  expect(await countTwo('rows', [3, 2])).toMatchObject({
    inferenceCount: '6',
    executionCount: '2',
    batchStats: [{ batchSize: '3', computeInfer: { count: '2' } }],
  });
});

it('counts each request as one where the first dimension is no batch', async () => {
  expect(await client.call('ModelConfig', { name: 'fixed' })).toMatchObject({ config: { maxBatchSize: 0 } });
  expect(await countTwo('fixed', [3, 2])).toMatchObject({
    inferenceCount: '2',
    executionCount: '2',
    batchStats: [{ batchSize: '1', computeInfer: { count: '2' } }],
  });
});

it('counts each request as one where a row is a single value, and reports the sizes of runs', async () => {
  expect(await client.call('ModelConfig', { name: 'values' })).toMatchObject({ config: { maxBatchSize: 0 } });
  expect(await countTwo('values', [3])).toMatchObject({
    inferenceCount: '2',
    batchStats: [{ batchSize: '3', computeInfer: { count: '2' } }],
  });
});

it('reports no runs before the first', async () => {
  const model = echoModel([{ name: 'x', elementType: 'float32', shape: [2] }]);
  const record = await storeVersion(test.store, 1, tensorManifest('idle'), model);
  test.registry.set(modelOf([record], { live: 1 }));
  test.registry.publish();
  await test.until('idle', 1, 'ready');
  expect(await client.call('ModelStatistics', { name: 'idle', version: '1' })).toMatchObject({
    modelStats: [{ inferenceCount: '0', executionCount: '0', batchStats: [] }],
  });
});
