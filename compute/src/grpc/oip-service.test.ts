import type { ModelInferRequest } from '@hotloop/proto/gen/inference/ModelInferRequest.ts';
import type { ModelStreamInferResponse__Output } from '@hotloop/proto/gen/inference/ModelStreamInferResponse.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { floatsOf } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

let test: TestCompute;
let client: OipClient;
beforeAll(async () => {
  test = await startTestCompute();
  const tiny = [1, 2, 3].map((version) => storeVersion(test.store, version, featureManifest('tiny', 4)));
  test.registry.set(modelOf(await Promise.all(tiny), { live: 2, previous: 1 }));
  test.registry.publish();
  await Promise.all([test.until('tiny', 1, 'ready'), test.until('tiny', 2, 'ready')]);
  client = openOipClient(test.compute.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await test[Symbol.asyncDispose]();
});

const row = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
function ask(more: Partial<ModelInferRequest> = {}): ModelInferRequest {
  return {
    modelName: 'tiny',
    inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 4] }],
    rawInputContents: [row(1, 2, 3, 4)],
    ...more,
  };
}

describe('Open Inference Protocol over gRPC', () => {
  it('reports liveness, readiness and metadata', async () => {
    expect(await client.call('ServerLive', {})).toEqual({ live: true });
    expect(await client.call('ServerReady', {})).toEqual({ ready: true });
    expect(await client.call('ServerMetadata', {})).toMatchObject({
      name: 'hotloop',
      extensions: expect.arrayContaining(['statistics']),
    });
    expect(await client.call('ModelReady', { name: 'tiny' })).toEqual({ ready: true });
    expect(await client.call('ModelReady', { name: 'tiny', version: '3' })).toEqual({ ready: false });
    expect(await client.call('ModelMetadata', { name: 'tiny' })).toEqual({
      name: 'tiny',
      versions: ['1', '2'],
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'input', datatype: 'FP32', shape: ['-1', '4'] }],
      outputs: [{ name: 'score', datatype: 'FP32', shape: ['-1', '1'] }],
    });
    expect(await client.call('ModelConfig', { name: 'tiny', version: 'previous' })).toMatchObject({
      config: {
        name: 'tiny',
        maxBatchSize: 256,
        input: [{ name: 'input', dataType: 'TYPE_FP32', dims: ['4'] }],
        output: [{ name: 'score', dataType: 'TYPE_FP32', dims: ['1'] }],
        dynamicBatching: { preferredBatchSize: [] },
        modelTransactionPolicy: { decoupled: false },
      },
    });
  });

  it('answers raw and typed contents alike, always raw, and echoes the id', async () => {
    const raw = await client.infer(ask({ id: 'mine' }));
    expect(raw).toMatchObject({ modelName: 'tiny', modelVersion: '2', id: 'mine' });
    expect(raw.outputs).toMatchObject([
      { name: 'score', datatype: 'FP32', shape: ['1', '1'], contents: null },
    ]);
    const typed = await client.infer(
      ask({
        rawInputContents: [],
        inputs: [
          { name: 'input', datatype: 'FP32', shape: [1, 4], contents: { fp32Contents: [1, 2, 3, 4] } },
        ],
      }),
    );
    expect(floatsOf(typed.rawOutputContents[0] ?? Buffer.of())).toEqual(
      floatsOf(raw.rawOutputContents[0] ?? Buffer.of()),
    );
  });

  it('accepts a version by number or label', async () => {
    const versions = await Promise.all(
      ['', 'live', 'previous', '1', '2'].map((modelVersion) => client.infer(ask({ modelVersion }))),
    );
    expect(versions.map((reply) => reply.modelVersion)).toEqual(['2', '2', '1', '1', '2']);
  });

  it('accepts the label candidate for the version that is being promoted', async () => {
    const versions = [1, 2].map((version) =>
      storeVersion(test.store, version, featureManifest('rolling', 4)),
    );
    test.registry.set(modelOf(await Promise.all(versions), { live: 1, target: 2 }));
    test.registry.publish();
    const asked = ['candidate', 'live', ''].map((modelVersion) =>
      client.infer(ask({ modelName: 'rolling', modelVersion })),
    );
    expect((await Promise.all(asked)).map((reply) => reply.modelVersion)).toEqual(['2', '1', '1']);
    await expect(client.infer(ask({ modelVersion: 'candidate' }))).rejects.toThrow(
      /^NOT_FOUND.*tiny has no candidate version/,
    );
  });

  it('returns only the requested outputs, in the requested order', async () => {
    const inputs = [{ name: 'input', datatype: 'FP32', shape: [2, 4] }];
    const reply = await client.infer(
      ask({ inputs, rawInputContents: [row(1, 2, 3, 4, 5, 6, 7, 8)], outputs: [{ name: 'score' }] }),
    );
    expect(reply.outputs).toMatchObject([{ name: 'score', shape: ['2', '1'] }]);
    await expect(client.infer(ask({ outputs: [{ name: 'nothing' }] }))).rejects.toThrow(
      /INVALID_ARGUMENT.*no output 'nothing'.*'score'/,
    );
  });

  it.each([
    ['an unknown model', { modelName: 'nobody' }, /^NOT_FOUND.*nobody/],
    ['an unknown version', { modelVersion: '77' }, /^NOT_FOUND.*77/],
    ['a malformed version', { modelVersion: 'new!' }, /^INVALID_ARGUMENT.*version/],
    ['no input', { inputs: [], rawInputContents: [] }, /^INVALID_ARGUMENT.*needs the input 'input'/],
    [
      'an unknown input',
      { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 4] }] },
      /^INVALID_ARGUMENT.*'input'/,
    ],
    [
      'another datatype',
      { inputs: [{ name: 'input', datatype: 'INT32', shape: [1, 4] }] },
      /^INVALID_ARGUMENT.*'input' is INT32.*FP32/,
    ],
    [
      'an unknown datatype',
      { inputs: [{ name: 'input', datatype: 'FP13', shape: [1, 4] }] },
      /^INVALID_ARGUMENT.*FP13/,
    ],
    [
      'another rank',
      { inputs: [{ name: 'input', datatype: 'FP32', shape: [4] }] },
      /^INVALID_ARGUMENT.*shape \[4\].*\[-1,4\]/,
    ],
    [
      'another dimension',
      { inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 5] }] },
      /^INVALID_ARGUMENT.*\[1,5\].*\[-1,4\]/,
    ],
    [
      'an empty batch',
      { inputs: [{ name: 'input', datatype: 'FP32', shape: [0, 4] }], rawInputContents: [Buffer.of()] },
      /^INVALID_ARGUMENT.*no rows/,
    ],
    [
      'a negative dimension',
      { inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 4] }] },
      /^INVALID_ARGUMENT.*-1/,
    ],
    ['truncated bytes', { rawInputContents: [row(1, 2, 3)] }, /^INVALID_ARGUMENT.*'input' has 12 bytes.*16/],
    [
      'too many bytes',
      { rawInputContents: [row(1, 2, 3, 4, 5)] },
      /^INVALID_ARGUMENT.*'input' has 20 bytes.*16/,
    ],
    [
      'too few raw contents',
      {
        inputs: [
          { name: 'input', datatype: 'FP32', shape: [1, 4] },
          { name: 'b', datatype: 'FP32', shape: [1] },
        ],
      },
      /^INVALID_ARGUMENT.*2 inputs, but 1 raw_input_contents: input 'b' has no data/,
    ],
    [
      'too many raw contents',
      { rawInputContents: [row(1, 2, 3, 4), row(1)] },
      /^INVALID_ARGUMENT: there are 1 inputs, but 2 raw_input_contents$/,
    ],
    ['no data at all', { rawInputContents: [] }, /^INVALID_ARGUMENT.*'input' has no data/],
    [
      'both raw and typed',
      {
        inputs: [
          { name: 'input', datatype: 'FP32', shape: [1, 4], contents: { fp32Contents: [1, 2, 3, 4] } },
        ],
      },
      /^INVALID_ARGUMENT.*contents field must not be specified when using raw_input_contents for 'input' for model 'tiny'/,
    ],
    [
      'typed inputs and fewer raw ones',
      {
        inputs: [
          { name: 'a', datatype: 'FP32', shape: [1], contents: { fp32Contents: [1] } },
          { name: 'b', datatype: 'FP32', shape: [1], contents: { fp32Contents: [1] } },
        ],
      },
      /^INVALID_ARGUMENT.*contents field must not be specified when using raw_input_contents for 'a' for model 'tiny'/,
    ],
    [
      'typed in another field',
      {
        rawInputContents: [],
        inputs: [
          { name: 'input', datatype: 'FP32', shape: [1, 4], contents: { fp64Contents: [1, 2, 3, 4] } },
        ],
      },
      /^INVALID_ARGUMENT.*fp64_contents, not fp32_contents/,
    ],
    [
      'a negative priority',
      { parameters: { priority: { int64Param: -1 } } },
      /^INVALID_ARGUMENT.*'priority'.*-1/,
    ],
    [
      'an infinite priority',
      { parameters: { priority: { uint64Param: '18446744073709551615' } } },
      /^INVALID_ARGUMENT.*'priority'.*1000/,
    ],
    [
      'a priority that is no integer',
      { parameters: { priority: { doubleParam: 1.5 } } },
      /^INVALID_ARGUMENT.*'priority' must be an integer/,
    ],
    ['an input of NaN', { rawInputContents: [row(Number.NaN, 0, 0, 0)] }, /^INTERNAL.*score/],
  ])('refuses %s with a clear status', async (_, more: Partial<ModelInferRequest>, expected) => {
    await expect(client.infer(ask(more))).rejects.toThrow(expected);
  });

  it('answers a stream in order, reports a bad request in order, and continues', async () => {
    const stream = client.raw.modelStreamInfer();
    const replies: ModelStreamInferResponse__Output[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      stream.on('data', (reply: ModelStreamInferResponse__Output) => replies.push(reply));
      stream.on('end', resolve);
      stream.on('error', reject);
    });
    for (let index = 0; index < 500; index++)
      stream.write(ask({ id: `r${index}`, ...(index === 250 ? { rawInputContents: [row(1)] } : {}) }));
    stream.end();
    await ended;
    expect(replies.map((reply) => reply.inferResponse?.id)).toEqual(
      Array.from({ length: 500 }, (_, index) => `r${index}`),
    );
    const failed = replies.filter((reply) => reply.errorMessage !== '');
    expect(failed.map((reply) => reply.inferResponse?.id)).toEqual(['r250']);
    expect(failed[0]?.errorMessage).toMatch(/'input' has 4 bytes/);
    expect(replies[0]?.inferResponse?.parameters.triton_final_response?.boolParam).toBe(true);
  });

  it('logs these requests too: the answer carries the id, and a prediction id sent by the caller is kept', async () => {
    const reply = await client.infer(ask());
    const own = reply.parameters.prediction_id?.stringParam ?? '';
    const again = await client.infer(ask({ id: own }));
    expect(again.parameters.prediction_id?.stringParam).toBe(own);
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query('SELECT * FROM prediction WHERE prediction_id = $1', [own]);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ model: 'tiny', version: 2, rows: 1, columns: 4, error_code: null });
    expect(floatsOf(rows[0].features)).toEqual([1, 2, 3, 4]);
  });

  it('reports statistics', async () => {
    interface Statistics {
      modelStats: {
        version: string;
        inferenceCount: string;
        inferenceStats: { success: { count: string; ns: string } };
      }[];
    }
    const read = async () =>
      (await client.call<Statistics>('ModelStatistics', { name: 'tiny', version: '1' })).modelStats[0];
    const before = await read();
    await client.infer(
      ask({
        modelVersion: '1',
        inputs: [{ name: 'input', datatype: 'FP32', shape: [2, 4] }],
        rawInputContents: [row(1, 2, 3, 4, 5, 6, 7, 8)],
      }),
    );
    const after = await read();
    expect(Number(after?.inferenceCount) - Number(before?.inferenceCount)).toBe(2);
    expect(Number(after?.inferenceStats.success.count) - Number(before?.inferenceStats.success.count)).toBe(
      1,
    );
  });

  it('lists the repository, loads and unloads a version by name, but not one in use', async () => {
    const states = async () => {
      const { models } = await client.call<{ models: { name: string; version: string; state: string }[] }>(
        'RepositoryIndex',
        {},
      );
      return Object.fromEntries(
        models.filter((model) => model.name === 'tiny').map((model) => [model.version, model.state]),
      );
    };
    expect(await states()).toEqual({ 1: 'READY', 2: 'READY', 3: 'UNAVAILABLE' });
    const version = { version: { stringParam: '3' } };
    expect(await client.call('RepositoryModelLoad', { repositoryName: 'tiny', parameters: version })).toEqual(
      { modelName: 'tiny', isLoaded: true },
    );
    expect(await states()).toEqual({ 1: 'READY', 2: 'READY', 3: 'READY' });
    await client.call('RepositoryModelUnload', { modelName: 'tiny', parameters: version });
    expect((await states())[3]).toBe('UNLOADING');
    await expect(
      client.call('RepositoryModelUnload', {
        modelName: 'tiny',
        parameters: { version: { stringParam: '2' } },
      }),
    ).rejects.toThrow(/^FAILED_PRECONDITION.*in use/);
    await expect(client.call('RepositoryModelLoad', { modelName: 'nobody' })).rejects.toThrow(/^NOT_FOUND/);
  });

  it('loads a registered version when a request names it', async () => {
    const version = await storeVersion(
      test.store,
      9,
      tensorManifest('sleeping'),
      echoModel([{ name: 'x', elementType: 'float32', shape: ['N'] }]),
    );
    test.registry.set(modelOf([version], {}));
    test.registry.publish();
    const reply = await client.infer({
      modelName: 'sleeping',
      modelVersion: '9',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [2] }],
      rawInputContents: [row(1, 2)],
    });
    expect(floatsOf(reply.rawOutputContents[0] ?? Buffer.of())).toEqual([1, 2]);
  });
});
