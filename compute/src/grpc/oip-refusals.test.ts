import type { Client, ServiceDefinition, ServiceError } from '@grpc/grpc-js';
import { withDeadline } from '@hotloop/platform/grpc/client.ts';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import { errorCodeOf } from '@hotloop/proto/errors.ts';
import type { ModelInferRequest } from '@hotloop/proto/gen/inference/ModelInferRequest.ts';
import type { ModelStreamInferResponse__Output } from '@hotloop/proto/gen/inference/ModelStreamInferResponse.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';
import { OIP_SERVICE } from './oip-service.ts';

const methods = loadOipDefinitions()[OIP_SERVICE] as ServiceDefinition;

let test: TestCompute;
let client: OipClient;
beforeAll(async () => {
  test = await startTestCompute();
  const tiny = await storeVersion(test.store, 1, featureManifest('tiny', 4));
  test.registry.set(modelOf([tiny], { live: 1 }));
  test.registry.publish();
  await test.until('tiny', 1, 'ready');
  client = openOipClient(test.compute.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await test[Symbol.asyncDispose]();
});

const input = { name: 'input', datatype: 'FP32', shape: [1, 4] };
function ask(more: Partial<ModelInferRequest> = {}): ModelInferRequest {
  const rawInputContents = [Buffer.from(Float32Array.of(1, 2, 3, 4).buffer)];
  return { modelName: 'tiny', inputs: [input], rawInputContents, ...more };
}

/** Sends bytes as the request message of a method. Resolves with `CODE: message reason`. */
function sendBytes(bytes: Buffer, method = 'ModelInfer'): Promise<string> {
  const raw: Client = client.raw;
  const same = (given: Buffer) => given;
  return new Promise((resolve) => {
    const done = (error: ServiceError | null) =>
      resolve(
        error ? `${errorCodeOf(error.code)}: ${error.details} ${error.metadata.get('hotloop-reason')}` : 'OK',
      );
    raw.makeUnaryRequest(`/${OIP_SERVICE}/${method}`, same, same, bytes, withDeadline(10_000), done);
  });
}

describe('parameters of an Open Inference Protocol request over gRPC', () => {
  it.each<[string, Partial<ModelInferRequest>]>([
    ['sequence_id', { parameters: { sequence_id: { int64Param: 7 } } }],
    ['sequence_id', { parameters: { sequence_id: { uint64Param: 7 } } }],
    ['sequence_id', { parameters: { sequence_id: { stringParam: '0' } } }],
    ['sequence_start', { parameters: { sequence_start: { boolParam: true } } }],
    ['sequence_end', { parameters: { sequence_end: { boolParam: true } } }],
    ['classification', { outputs: [{ name: 'score', parameters: { classification: { int64Param: 1 } } }] }],
    [
      'shared_memory_region',
      { outputs: [{ name: 'score', parameters: { shared_memory_region: { stringParam: 'a' } } }] },
    ],
    [
      'shared_memory_region',
      {
        inputs: [{ ...input, parameters: { shared_memory_region: { stringParam: 'a' } } }],
        rawInputContents: [],
      },
    ],
    [
      'shared_memory_byte_size',
      { inputs: [{ ...input, parameters: { shared_memory_byte_size: { int64Param: 16 } } }] },
    ],
  ])('are rejected when they ask for %s', async (parameter, more) => {
    await expect(client.infer(ask(more))).rejects.toThrow(
      new RegExp(`^UNIMPLEMENTED: parameter '${parameter}'`),
    );
  });

  it('may switch a feature off, as clients do, and include custom parameters', async () => {
    const parameters = {
      sequence_id: { int64Param: 0 },
      sequence_start: { boolParam: false },
      sequence_end: { boolParam: false },
      mine: { doubleParam: 1.5 },
      triton_enable_empty_final_response: { boolParam: true },
    };
    const outputs = [{ name: 'score', parameters: { classification: { int64Param: 0 } } }];
    expect((await client.infer(ask({ parameters, outputs }))).outputs).toHaveLength(1);
    const empty = { sequence_id: { stringParam: '' } };
    expect((await client.infer(ask({ parameters: empty }))).outputs).toHaveLength(1);
  });

  it.each([
    ['no message', Buffer.from('garbage')],
    ['a message cut short', methods.ModelInfer!.requestSerialize(ask()).subarray(0, -1)],
    ['groups without an end', Buffer.alloc(100_000, 0x7b)],
  ])("is refused as the caller's fault when it is %s", async (_, bytes) => {
    expect(await sendBytes(bytes)).toMatch(/^INVALID_ARGUMENT: .*ModelInferRequest.* malformed_request$/);
  });

  it("is refused as the caller's fault by the methods around inference, too", async () => {
    expect(await sendBytes(Buffer.from('garbage'), 'ModelConfig')).toBe(
      'INVALID_ARGUMENT: the request cannot be read as a ModelConfigRequest malformed_request',
    );
  });

  it('are rejected in order within a stream, which continues', async () => {
    const raw: Client = client.raw;
    const { requestSerialize, responseDeserialize } = methods.ModelStreamInfer!;
    const stream = raw.makeBidiStreamRequest(
      `/${OIP_SERVICE}/ModelStreamInfer`,
      (given: Buffer) => given,
      responseDeserialize as (bytes: Buffer) => ModelStreamInferResponse__Output,
      withDeadline(10_000),
    );
    stream.write(Buffer.from('garbage'));
    stream.write(requestSerialize(ask({ parameters: { sequence_id: { int64Param: 1 } } })));
    stream.write(requestSerialize(ask({ id: 'good' })));
    stream.end();
    const replies: ModelStreamInferResponse__Output[] = [];
    for await (const reply of stream) replies.push(reply);
    expect(replies.map((reply) => reply.errorMessage)).toEqual([
      expect.stringContaining('ModelInferRequest'),
      expect.stringContaining("'sequence_id'"),
      '',
    ]);
    expect(replies[2]?.inferResponse?.id).toBe('good');
  });
});
