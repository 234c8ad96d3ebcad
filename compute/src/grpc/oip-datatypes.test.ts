import type { InferTensorContents } from '@hotloop/proto/gen/inference/InferTensorContents.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EchoTensor, echoModel, tensorManifest } from '../testing/echo-models.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

/** The datatypes that also have a typed field. */
const TYPED: readonly EchoTensor[] = [
  { name: 'bool', elementType: 'bool', shape: ['N', 2] },
  { name: 'i8', elementType: 'int8', shape: ['N', 2] },
  { name: 'i16', elementType: 'int16', shape: ['N', 2] },
  { name: 'i32', elementType: 'int32', shape: ['N', 2] },
  { name: 'i64', elementType: 'int64', shape: ['N', 2] },
  { name: 'u8', elementType: 'uint8', shape: ['N', 2] },
  { name: 'u16', elementType: 'uint16', shape: ['N', 2] },
  { name: 'u32', elementType: 'uint32', shape: ['N', 2] },
  { name: 'u64', elementType: 'uint64', shape: ['N', 2] },
  { name: 'f32', elementType: 'float32', shape: ['N', 2] },
  { name: 'f64', elementType: 'float64', shape: ['N', 2] },
  { name: 'text', elementType: 'string', shape: ['N', 2] },
];
const ALL_TYPES: readonly EchoTensor[] = [
  ...TYPED,
  { name: 'f16', elementType: 'float16', shape: ['N', 2] },
  { name: 'bf16', elementType: 'bfloat16', shape: ['N', 2] },
];
const PRIVATE = 'log: {redact: [ssn, ssn_out]}\n';
/**
 * The tensors that each model echoes. All models are loaded before the first test, because requests wait no longer
 * for a load than for an answer.
 */
const MODELS: Readonly<Record<string, readonly EchoTensor[]>> = {
  types: ALL_TYPES,
  typed: TYPED,
  words: [{ name: 'x', elementType: 'string', shape: ['N'] }],
  numbers: [{ name: 'x', elementType: 'float32', shape: ['N', 2] }],
  texts: [{ name: 'x', elementType: 'string', shape: ['N', 2] }],
  private: [
    { name: 'x', elementType: 'float32', shape: ['N', 2] },
    { name: 'ssn', elementType: 'string', shape: ['N'] },
  ],
};

let test: TestCompute;
let client: OipClient;
beforeAll(async () => {
  test = await startTestCompute();
  for (const [name, tensors] of Object.entries(MODELS)) {
    const manifest = tensorManifest(name, name === 'private' ? PRIVATE : '');
    const version = await storeVersion(test.store, 1, manifest, echoModel(tensors));
    test.registry.set(modelOf([version], { live: 1 }));
  }
  test.registry.publish();
  for (const name of Object.keys(MODELS)) await test.until(name, 1, 'ready');
  client = openOipClient(test.compute.address);
});
afterAll(async () => {
  client[Symbol.dispose]();
  await test[Symbol.asyncDispose]();
});

describe('datatypes of the Open Inference Protocol', () => {
  it('carries every datatype raw and typed, 64-bit integers and text without loss', async () => {
    const texts = (...values: string[]) =>
      Buffer.concat(
        values.map((value) =>
          Buffer.concat([Buffer.from(Uint32Array.of(Buffer.byteLength(value)).buffer), Buffer.from(value)]),
        ),
      );
    const cases: readonly (readonly [string, string, Buffer, InferTensorContents | null])[] = [
      ['bool', 'BOOL', Buffer.of(1, 0), { boolContents: [true, false] }],
      ['i8', 'INT8', Buffer.from(Int8Array.of(-128, 127).buffer), { intContents: [-128, 127] }],
      ['i16', 'INT16', Buffer.from(Int16Array.of(-32768, 32767).buffer), { intContents: [-32768, 32767] }],
      [
        'i32',
        'INT32',
        Buffer.from(Int32Array.of(-(2 ** 31), 2 ** 31 - 1).buffer),
        { intContents: [-(2 ** 31), 2 ** 31 - 1] },
      ],
      [
        'i64',
        'INT64',
        Buffer.from(BigInt64Array.of(-(2n ** 63n), 2n ** 53n + 1n).buffer),
        { int64Contents: [String(-(2n ** 63n)), String(2n ** 53n + 1n)] },
      ],
      ['u8', 'UINT8', Buffer.of(0, 255), { uintContents: [0, 255] }],
      ['u16', 'UINT16', Buffer.from(Uint16Array.of(0, 65535).buffer), { uintContents: [0, 65535] }],
      [
        'u32',
        'UINT32',
        Buffer.from(Uint32Array.of(0, 2 ** 32 - 1).buffer),
        { uintContents: [0, 2 ** 32 - 1] },
      ],
      [
        'u64',
        'UINT64',
        Buffer.from(BigUint64Array.of(0n, 2n ** 64n - 1n).buffer),
        { uint64Contents: ['0', String(2n ** 64n - 1n)] },
      ],
      ['f32', 'FP32', Buffer.from(Float32Array.of(1.5, -2).buffer), { fp32Contents: [1.5, -2] }],
      ['f64', 'FP64', Buffer.from(Float64Array.of(Math.PI, -0).buffer), { fp64Contents: [Math.PI, -0] }],
      ['text', 'BYTES', texts('', 'é☃'), { bytesContents: [Buffer.from(''), Buffer.from('é☃')] }],
      ['f16', 'FP16', Buffer.from(Uint16Array.of(0x3c00, 0xc000).buffer), null],
      ['bf16', 'BF16', Buffer.from(Uint16Array.of(0x3f80, 0xc2f7).buffer), null],
    ];
    const inputs = cases.map(([name, datatype]) => ({ name, datatype, shape: [1, 2] }));
    const raw = await client.infer({
      modelName: 'types',
      inputs,
      rawInputContents: cases.map(([, , bytes]) => bytes),
    });
    expect(raw.outputs.map((output) => output.datatype)).toEqual(cases.map(([, datatype]) => datatype));
    for (const [index, [name, , bytes]] of cases.entries())
      expect([name, raw.rawOutputContents[index]]).toEqual([name, bytes]);

    // The log records the spec of each tensor, so that the pair can be decoded again.
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query('SELECT * FROM prediction WHERE prediction_id = $1', [
      raw.parameters.prediction_id?.stringParam,
    ]);
    expect(rows[0]).toMatchObject({
      columns: 0,
      input_spec: inputs,
      output_spec: inputs.map((input) => ({ ...input, name: `${input.name}_out` })),
    });
    const contents = Buffer.concat(cases.map(([, , bytes]) => bytes));
    expect([rows[0].features, rows[0].outputs]).toEqual([contents, contents]);

    const typed = cases.map(([name, datatype, , contents]) => ({
      ...{ name, datatype, shape: [1, 2] },
      ...(contents ? { contents } : {}),
    }));
    const reply = await client.infer({ modelName: 'typed', inputs: typed.slice(0, TYPED.length) });
    expect(reply.rawOutputContents).toHaveLength(TYPED.length);
    for (const [index, bytes] of reply.rawOutputContents.entries())
      expect([cases[index]?.[0], bytes]).toEqual([cases[index]?.[0], cases[index]?.[2]]);
    // FP16 has no typed field: the request is rejected, naming the tensor.
    await expect(client.infer({ modelName: 'types', inputs: typed })).rejects.toThrow(
      /INVALID_ARGUMENT.*'f16'/,
    );
  });

  it('keeps the tensors that the manifest hides out of the log', async () => {
    const secret = Buffer.from('123-45-6789');
    const number = Buffer.from(Float32Array.of(1.5, -2).buffer);
    const reply = await client.infer({
      modelName: 'private',
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [1, 2] },
        { name: 'ssn', datatype: 'BYTES', shape: [1] },
      ],
      rawInputContents: [number, Buffer.concat([Buffer.of(secret.length, 0, 0, 0), secret])],
    });
    expect(reply.rawOutputContents[1]?.includes(secret)).toBe(true);
    await test.compute.flushLog(10_000);
    const { rows } = await test.pool.query("SELECT * FROM prediction WHERE model = 'private'");
    expect([rows[0].features, rows[0].outputs]).toEqual([number, number]);
    expect(rows[0].input_spec).toEqual([
      { name: 'x', datatype: 'FP32', shape: [1, 2] },
      { name: 'ssn', datatype: 'BYTES', shape: [1], hidden: true },
    ]);
  });

  it('describes a model with one value per row without batches, because each input needs a dimension', async () => {
    const words = await client.call('ModelConfig', { name: 'words' });
    expect(words).toMatchObject({ config: { maxBatchSize: 0, input: [{ dims: ['-1'] }] } });
    expect(words).not.toHaveProperty('config.dynamicBatching');
    expect(await client.call('ModelConfig', { name: 'numbers' })).toMatchObject({
      config: { maxBatchSize: 256, input: [{ dims: ['2'] }], dynamicBatching: {} },
    });
  });

  it('describes a model with text outputs without batches, because its requests run alone', async () => {
    const described = await client.call('ModelConfig', { name: 'texts' });
    expect(described).toMatchObject({ config: { maxBatchSize: 0, input: [{ dims: ['-1', '2'] }] } });
    expect(described).not.toHaveProperty('config.dynamicBatching');
  });
});
