import type { InferTensorContents } from '@hotloop/proto/gen/inference/InferTensorContents.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { modelOf, storeVersion } from '../testing/model-bundles.ts';
import { type OipClient, openOipClient } from '../testing/open-oip-client.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

const ALL_TYPES = echoModel([
  { name: 'bool', elementType: 'bool', shape: ['N', 2] },
  { name: 'i8', elementType: 'int8', shape: ['N', 2] },
  { name: 'i16', elementType: 'int16', shape: ['N', 2] },
  { name: 'i32', elementType: 'int32', shape: ['N', 2] },
  { name: 'i64', elementType: 'int64', shape: ['N', 2] },
  { name: 'u8', elementType: 'uint8', shape: ['N', 2] },
  { name: 'u16', elementType: 'uint16', shape: ['N', 2] },
  { name: 'u32', elementType: 'uint32', shape: ['N', 2] },
  { name: 'u64', elementType: 'uint64', shape: ['N', 2] },
  { name: 'f16', elementType: 'float16', shape: ['N', 2] },
  { name: 'bf16', elementType: 'bfloat16', shape: ['N', 2] },
  { name: 'f32', elementType: 'float32', shape: ['N', 2] },
  { name: 'f64', elementType: 'float64', shape: ['N', 2] },
  { name: 'text', elementType: 'string', shape: ['N', 2] },
]);

let test: TestCompute;
let client: OipClient;
beforeAll(async () => {
  test = await startTestCompute();
  const types = await storeVersion(test.store, 1, tensorManifest('types'), ALL_TYPES);
  const words = await storeVersion(
    test.store,
    1,
    tensorManifest('words'),
    echoModel([{ name: 'x', elementType: 'string', shape: ['N'] }]),
  );
  for (const version of [types, words]) test.registry.set(modelOf([version], { live: 1 }));
  test.registry.publish();
  await Promise.all([test.until('types', 1, 'ready'), test.until('words', 1, 'ready')]);
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
      ['f16', 'FP16', Buffer.from(Uint16Array.of(0x3c00, 0xc000).buffer), null],
      ['bf16', 'BF16', Buffer.from(Uint16Array.of(0x3f80, 0xc2f7).buffer), null],
      ['f32', 'FP32', Buffer.from(Float32Array.of(1.5, -2).buffer), { fp32Contents: [1.5, -2] }],
      ['f64', 'FP64', Buffer.from(Float64Array.of(Math.PI, -0).buffer), { fp64Contents: [Math.PI, -0] }],
      ['text', 'BYTES', texts('', 'é☃'), { bytesContents: [Buffer.from(''), Buffer.from('é☃')] }],
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

    // The log says what each tensor was, so that the pair can be read again.
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

    for (const [name, datatype, bytes, contents] of cases) {
      if (contents === null) continue;
      const typed = cases.map(([other, type, , otherContents]) => ({
        name: other,
        datatype: type,
        shape: [1, 2],
        ...(otherContents ? { contents: otherContents } : {}),
      }));
      // FP16 has no typed field, so that one request cannot be all typed: it is refused, and names the tensor.
      await expect(client.infer({ modelName: 'types', inputs: typed })).rejects.toThrow(
        /INVALID_ARGUMENT.*'f16'/,
      );
      const one = await storedEcho(name, datatype);
      const reply = await client.infer({
        modelName: one,
        inputs: [{ name, datatype, shape: [1, 2], contents }],
      });
      expect([name, reply.rawOutputContents[0]]).toEqual([name, bytes]);
    }
  });

  it('keeps tensors out of the log that the manifest names', async () => {
    const tensors = [
      { name: 'x', elementType: 'float32', shape: ['N', 2] },
      { name: 'ssn', elementType: 'string', shape: ['N'] },
    ] as const;
    const manifest = tensorManifest('private', 'log: {redact: [ssn, ssn_out]}\n');
    const version = await storeVersion(test.store, 1, manifest, echoModel(tensors));
    test.registry.set(modelOf([version], { live: 1 }));
    test.registry.publish();
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

  it('describes a model that takes one value a row without batches, for each input needs a dimension', async () => {
    const words = await client.call('ModelConfig', { name: 'words' });
    expect(words).toMatchObject({ config: { maxBatchSize: 0, input: [{ dims: ['-1'] }] } });
    expect(words).not.toHaveProperty('config.dynamicBatching');
    const numbers = await storedEcho('numbers', 'FP32');
    expect(await client.call('ModelConfig', { name: numbers })).toMatchObject({
      config: { maxBatchSize: 256, input: [{ dims: ['2'] }], dynamicBatching: {} },
    });
  });

  it('describes a model that answers text without batches, for its requests run alone', async () => {
    const texts = await storedEcho('texts', 'BYTES');
    const described = await client.call('ModelConfig', { name: texts });
    expect(described).toMatchObject({ config: { maxBatchSize: 0, input: [{ dims: ['-1', '2'] }] } });
    expect(described).not.toHaveProperty('config.dynamicBatching');
  });
});

/** A model of one echoed tensor, live; returns its name. */
async function storedEcho(name: string, datatype: string): Promise<string> {
  const elementType = ALL_ELEMENT_TYPES[datatype] ?? 'float32';
  const model = `echo-${name}`;
  const version = await storeVersion(
    test.store,
    1,
    tensorManifest(model),
    echoModel([{ name, elementType, shape: ['N', 2] }]),
  );
  test.registry.set(modelOf([version], { live: 1 }));
  test.registry.publish();
  return model;
}

const ALL_ELEMENT_TYPES: Readonly<Record<string, Parameters<typeof echoModel>[0][number]['elementType']>> = {
  BOOL: 'bool',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};
