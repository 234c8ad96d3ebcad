import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

/** Valid data, as JSON text, for every input of the model `types`. */
const FITTING: Readonly<Record<string, string>> = {
  BOOL: '[true, false]',
  INT8: '[1, 2]',
  INT64: '[1, 2]',
  UINT64: '[1, 2]',
  FP32: '[1, 2]',
  FP64: '[1, 2]',
  BYTES: '["a", "b"]',
};

let test: TestCompute;
let base: string;
beforeAll(async () => {
  test = await startTestCompute({ httpListen: '127.0.0.1:0' });
  const types = echoModel([
    { name: 'BOOL', elementType: 'bool', shape: ['N'] },
    { name: 'INT8', elementType: 'int8', shape: ['N'] },
    { name: 'INT64', elementType: 'int64', shape: ['N'] },
    { name: 'UINT64', elementType: 'uint64', shape: ['N'] },
    { name: 'FP32', elementType: 'float32', shape: ['N'] },
    { name: 'FP64', elementType: 'float64', shape: ['N'] },
    { name: 'BYTES', elementType: 'string', shape: ['N'] },
  ]);
  const half = echoModel([
    { name: 'half', elementType: 'float16', shape: ['N'] },
    { name: 'brain', elementType: 'bfloat16', shape: ['N'] },
    { name: 'whole', elementType: 'float32', shape: ['N'] },
  ]);
  const allowing = tensorManifest('types', 'runtime: {allow_nonfinite: true}\n');
  const versions = await Promise.all([
    storeVersion(test.store, 1, allowing, types),
    storeVersion(test.store, 1, tensorManifest('half'), half),
    storeVersion(test.store, 1, featureManifest('tiny', 4)),
  ]);
  for (const version of versions) test.registry.set(modelOf([version], { live: 1 }));
  test.registry.publish();
  await Promise.all(versions.map(({ model }) => test.until(model, 1, 'ready')));
  base = `http://${test.compute.httpAddress}/v2/models`;
});
afterAll(() => test[Symbol.asyncDispose]());

async function infer(model: string, body: string | Uint8Array, headers: Record<string, string> = {}) {
  const sent = typeof body === 'string' ? body : new Uint8Array(body);
  const response = await fetch(`${base}/${model}/infer`, { method: 'POST', body: sent, headers });
  const bytes = Buffer.from(await response.arrayBuffer());
  const header = response.headers.get('inference-header-content-length');
  const text = bytes.toString('utf8', 0, header === null ? bytes.length : Number(header));
  return { status: response.status, text, json: JSON.parse(text) };
}

/** Sends `data` for one input, and valid data for all others. */
function inferWith(datatype: string, data: string, shape = '[2]') {
  const inputs = Object.entries(FITTING).map(
    ([name, fitting]) =>
      `{"name": "${name}", "datatype": "${name}", "shape": ${name === datatype ? shape : '[2]'}, "data": ${
        name === datatype ? data : fitting
      }}`,
  );
  return infer('types', `{"inputs": [${inputs.join()}], "outputs": [{"name": "${datatype}_out"}]}`);
}

/** A request for `tiny` with additional fields in the request, its input and its output. */
function tinyRequest(more: object, input: object = {}, output: object = {}): string {
  return JSON.stringify({
    inputs: [{ name: 'input', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4], ...input }],
    outputs: [{ name: 'score', ...output }],
    ...more,
  });
}

describe('JSON data over REST', () => {
  it.each([
    ['BOOL', '[true, "true"]', /'BOOL': element 1 is the string 'true'; BOOL takes true, false, 1 or 0/],
    ['BOOL', '[true, 2]', /element 1 is 2;/],
    ['INT8', '["", 1]', /'INT8': element 0 is the string ''; INT8 takes an integer from -128 to 127/],
    ['INT8', '[1, true]', /element 1 is true;/],
    ['INT8', '[1, 128]', /element 1 is 128;/],
    ['INT8', '[1, 1.5]', /element 1 is 1.5;/],
    ['INT64', '[1, ""]', /'INT64': element 1 is the string '';/],
    ['INT64', '[1, "0x10"]', /element 1 is the string '0x10'; INT64 takes an integer from -92\d+ to 92\d+/],
    ['INT64', '[1, "16"]', /element 1 is the string '16'/],
    ['INT64', '[1, 9223372036854775808]', /element 1 is 9223372036854775808;/],
    ['UINT64', '[1, -1]', /element 1 is -1; UINT64 takes an integer from 0 to 18446744073709551615/],
    ['FP32', '["", 1]', /'FP32': element 0 is the string '';/],
    ['FP32', '["abc", 1]', /element 0 is the string 'abc'; FP32 takes a number from -3.4028/],
    ['FP32', '[1, 1e39]', /element 1 is 1e\+39;/],
    ['FP32', '[1, null]', /element 1 is null;/],
    ['FP32', '[1, {"a": 1}]', /element 1 is an object;/],
    ['FP64', '[1, 1e999]', /element 1 is out of the range of a 64-bit float/],
    ['BYTES', '["a", 5]', /'BYTES': element 1 is 5; BYTES takes a Unicode string/],
    ['BYTES', '["a", "\\ud800"]', /element 1 is the string/],
    ['INT8', '[1]', /'INT8' has 1 element; its shape \[2\] has 2/],
    ['INT8', '[[1], [2]]', /'INT8'.*nested.*\[2\]/],
    ['INT8', '[1, [2]]', /element 1 is a list/],
  ])('is rejected for %s: %s', async (datatype, data, error) => {
    const reply = await inferWith(datatype, data);
    expect(reply).toMatchObject({ status: 400, json: { error: expect.stringMatching(error) } });
    expect(reply.json.reason).toBe('invalid_tensor');
  });

  it.each([
    ['BOOL', '[1, false]', '[true,false]'],
    ['INT8', '[-0, 127]', '[0,127]'],
    ['INT64', '[-9223372036854775808, 9223372036854775807]', '[-9223372036854775808,9223372036854775807]'],
    ['UINT64', '[9007199254740993, 18446744073709551615]', '[9007199254740993,18446744073709551615]'],
    ['FP32', '[3.4028235e38, 12345678901234567890]', '[3.4028234663852886e+38,12345679395506094000]'],
    ['FP64', '[1e308, 0.1]', '[1e+308,0.1]'],
    ['BYTES', '["1", ""]', '["1",""]'],
  ])('is returned unchanged for %s: %s', async (datatype, data, expected) => {
    const reply = await inferWith(datatype, data);
    expect(reply).toMatchObject({ status: 200 });
    expect(reply.text).toContain(`"data":${expected}`);
  });

  it('is refused where it is nested deeper than anything can be read', async () => {
    const deep = `${'['.repeat(100_000)}1${']'.repeat(100_000)}`;
    const whole = '{"name": "input", "shape": [1, 4], "datatype": "FP32", "data": ';
    const plain = await infer('tiny', `{"inputs": [${whole}${deep}}]}`);
    expect(plain).toMatchObject({ status: 400, json: { error: expect.stringMatching(/'input'.*nested/) } });
    expect(await inferWith('INT64', deep)).toMatchObject({ status: 400 });
    expect(await infer('tiny', deep)).toMatchObject({ status: 400 });
    expect(await infer('tiny', `{"parameters": {"x": ${deep}}, "inputs": []}`)).toMatchObject({
      status: 400,
    });
  });
});

describe('a REST request that violates the protocol', () => {
  it.each([
    [
      'a string in a shape',
      tinyRequest({}, { shape: ['1', 4] }),
      /: shape\.0 of input 'input': Invalid input/,
    ],
    ['an input without a shape', tinyRequest({}, { shape: undefined }), /: shape of input 'input': /],
    [
      'a list as a parameter of an input',
      tinyRequest({}, { parameters: { a: [] } }),
      /: parameters\.a of input 'input': /,
    ],
    [
      'parameters of an output that are a string',
      tinyRequest({}, {}, { parameters: 'x' }),
      /: parameters of output 'score': /,
    ],
    ['an input without a name', tinyRequest({}, { name: undefined }), /: inputs\.0\.name: /],
    ['a number as the name of an output', tinyRequest({}, {}, { name: 5 }), /: outputs\.0\.name: /],
    ['an input that is null', tinyRequest({ inputs: [null] }), /: inputs\.0: /],
    ['inputs that are not a list', tinyRequest({ inputs: {} }), /: inputs: /],
    ['a number as the id', tinyRequest({ id: 7 }), /: id: /],
    ['nothing', 'null', /: request: /],
  ])('is rejected for %s, naming the tensor where it has a name', async (_, body, error) => {
    expect(await infer('tiny', body)).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(error) },
    });
  });
});

describe('parameters of a REST request', () => {
  it.each([
    ['sequence_id', tinyRequest({ parameters: { sequence_id: 7 } })],
    ['sequence_id', tinyRequest({ parameters: { sequence_id: 'a' } })],
    ['sequence_start', tinyRequest({ parameters: { sequence_id: 0, sequence_start: true } })],
    ['sequence_end', tinyRequest({ parameters: { sequence_end: true } })],
    ['classification', tinyRequest({}, {}, { parameters: { classification: 2 } })],
    ['shared_memory_region', tinyRequest({}, {}, { parameters: { shared_memory_region: 'a' } })],
    [
      'shared_memory_region',
      tinyRequest(
        {},
        { data: undefined, parameters: { shared_memory_region: 'a', shared_memory_offset: 0 } },
      ),
    ],
  ])('are rejected when they ask for %s', async (parameter, body) => {
    expect(await infer('tiny', body)).toMatchObject({
      status: 501,
      json: { error: expect.stringContaining(`'${parameter}'`), reason: 'unsupported_parameter' },
    });
  });

  it.each([
    ['binary_data_output', tinyRequest({ parameters: { binary_data_output: 'true' } })],
    ['binary_data', tinyRequest({}, {}, { parameters: { binary_data: 1 } })],
  ])('is not guessed where %s is neither true nor false', async (parameter, body) => {
    expect(await infer('tiny', body)).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(`'${parameter}'.*true or false`) },
    });
  });

  it('may switch a feature off, as clients do, and include custom parameters', async () => {
    const off = { sequence_id: 0, sequence_start: false, sequence_end: false, mine: 'x', triton_x: true };
    const output = { parameters: { classification: 0, binary_data: false } };
    expect(await infer('tiny', tinyRequest({ parameters: off }, {}, output))).toMatchObject({ status: 200 });
    expect(await infer('tiny', tinyRequest({ parameters: { sequence_id: '' } }))).toMatchObject({
      status: 200,
    });
  });

  it.each(['', ' ', '0x10', '1e2', '-1', '4.0', '1, 2'])(
    'are rejected with %j as the length of the JSON',
    async (length) => {
      const headers = { 'inference-header-content-length': length };
      expect(await infer('tiny', new Uint8Array(16), headers)).toMatchObject({
        status: 400,
        json: { error: expect.stringMatching(/inference-header-content-length.*whole number/) },
      });
    },
  );

  it.each(['half', 'brain'])('is refused before the model runs where JSON cannot carry %s', async (name) => {
    const asked = (outputs: object[]) => {
      const inputs = ['half', 'brain', 'whole'].map((input, index) => ({
        name: input,
        shape: [2],
        datatype: ['FP16', 'BF16', 'FP32'][index],
        parameters: { binary_data_size: index === 2 ? 8 : 4 },
      }));
      const head = Buffer.from(JSON.stringify({ inputs, outputs }));
      const headers = { 'inference-header-content-length': String(head.length) };
      return infer('half', Buffer.concat([head, Buffer.alloc(16)]), headers);
    };
    const runs = async () => {
      const reply = await fetch(`${base}/half/stats`);
      const { model_stats } = (await reply.json()) as { model_stats: { execution_count: number }[] };
      return model_stats[0]?.execution_count;
    };
    const before = await runs();
    const refusal = `output '${name}_out' is ${name === 'half' ? 'FP16' : 'BF16'}`;
    expect(await asked([{ name: 'whole_out' }, { name: `${name}_out` }])).toMatchObject({
      status: 400,
      json: { error: expect.stringMatching(`${refusal}.*binary_data`) },
    });
    expect(await asked([])).toMatchObject({ status: 400 });
    expect(await runs()).toBe(before);
    const binary = { name: `${name}_out`, parameters: { binary_data: true } };
    expect(await asked([{ name: 'whole_out' }, binary])).toMatchObject({ status: 200 });
    expect(await runs()).not.toBe(before);
  });

  it.each([
    ['an object', '{}'],
    ['a list deeper than any stack', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('is refused where the version to load is %s', async (_, version) => {
    const body = `{"parameters": {"version": ${version}}}`;
    const load = new URL('/v2/repository/models/tiny/load', base);
    const reply = await fetch(load, { method: 'POST', body });
    expect([reply.status, await reply.json()]).toMatchObject([
      400,
      { error: expect.stringMatching(/'version' must be a string or a number/) },
    ]);
  });

  it('is told the reason of a refusal beside its text, where there is one', async () => {
    const inputs = [{ name: 'input', shape: [1, 4], datatype: 'FP32', parameters: { binary_data_size: 16 } }];
    const head = Buffer.from(JSON.stringify({ inputs }));
    const rows = Buffer.from(Float32Array.of(Number.NaN, 0, 0, 0).buffer);
    const headers = { 'inference-header-content-length': String(head.length) };
    expect(await infer('tiny', Buffer.concat([head, rows]), headers)).toMatchObject({
      status: 500,
      json: { error: expect.stringContaining('score'), reason: 'nonfinite_output' },
    });
  });
});
