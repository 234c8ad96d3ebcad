import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { json } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoModel, tensorManifest } from '../testing/echo-models.ts';
import { floatsOf } from '../testing/infer-items.ts';
import { featureManifest, modelOf, storeVersion } from '../testing/model-bundles.ts';
import { startTestCompute, type TestCompute } from '../testing/start-test-compute.ts';

let test: TestCompute;
let base: string;
beforeAll(async () => {
  test = await startTestCompute({ httpListen: '127.0.0.1:0' });
  const tiny = await storeVersion(test.store, 1, featureManifest('tiny', 4));
  const mixed = echoModel([
    { name: 'long', elementType: 'int64', shape: ['N'] },
    { name: 'text', elementType: 'string', shape: ['N'] },
    { name: 'half', elementType: 'float16', shape: ['N'] },
  ]);
  const types = await storeVersion(test.store, 1, tensorManifest('mixed'), mixed);
  test.registry.set(modelOf([tiny], { live: 1 }));
  test.registry.set(modelOf([types], { live: 1 }));
  test.registry.publish();
  await Promise.all([test.until('tiny', 1, 'ready'), test.until('mixed', 1, 'ready')]);
  base = `http://${test.compute.httpAddress}`;
});
afterAll(() => test[Symbol.asyncDispose]());

async function get(path: string) {
  const response = await fetch(base + path);
  return { status: response.status, type: response.headers.get('content-type'), json: await response.json() };
}

async function post(path: string, body: unknown, headers: Record<string, string> = {}) {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(base + path, {
    method: 'POST',
    body: isBytes ? new Uint8Array(body) : JSON.stringify(body),
    headers,
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const header = response.headers.get('inference-header-content-length');
  const jsonBytes = header === null ? bytes.length : Number(header);
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: bytes.toString('utf8', 0, jsonBytes),
    json: JSON.parse(bytes.toString('utf8', 0, jsonBytes)),
    binary: bytes.subarray(jsonBytes),
  };
}

/** A request with arbitrary headers; fetch does not allow setting Host. */
async function postRaw(path: string, headers: Record<string, string>) {
  const sent = request(base + path, { method: 'POST', headers }).end('{}');
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return { status: response.statusCode, json: await json(response) };
}

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const input = (data: unknown, more: object = {}) => ({
  name: 'input',
  shape: [1, 4],
  datatype: 'FP32',
  data,
  ...more,
});

function withBinary(json: object, ...tensors: Buffer[]) {
  const head = Buffer.from(JSON.stringify(json));
  return {
    body: Buffer.concat([head, ...tensors]),
    headers: { 'inference-header-content-length': String(head.length) },
  };
}

describe('Open Inference Protocol over REST', () => {
  it('answers HEAD like GET, without a body, and names the allowed methods to others', async () => {
    const head = await fetch(`${base}/v2/health/live`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const other = await fetch(`${base}/v2/health/live`, { method: 'PUT' });
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('answers the health checks with bodies, in the exact content type', async () => {
    expect(await get('/v2/health/live')).toEqual({
      status: 200,
      type: 'application/json',
      json: { live: true },
    });
    expect(await get('/v2/health/ready')).toMatchObject({ status: 200, json: { ready: true } });
    expect(await get('/v2')).toMatchObject({
      status: 200,
      json: { name: 'hotloop', extensions: expect.arrayContaining(['binary_tensor_data']) },
    });
    expect(await get('/v2/models/tiny/ready')).toMatchObject({
      status: 200,
      json: { name: 'tiny', ready: true },
    });
    expect(await get('/v2/models/tiny/versions/1')).toMatchObject({
      json: { name: 'tiny', versions: ['1'], inputs: [{ name: 'input', datatype: 'FP32', shape: [-1, 4] }] },
    });
    expect(await get('/v2/models/tiny/config')).toMatchObject({
      json: { max_batch_size: 256, input: [{ data_type: 'TYPE_FP32', dims: [4] }] },
    });
    expect(await get('/v2/models/tiny/stats')).toMatchObject({
      json: {
        model_stats: [{ name: 'tiny', version: '1', inference_stats: { cache_miss: { count: 0, ns: 0 } } }],
      },
    });
    expect((await post('/v2/repository/index', {})).json).toContainEqual({
      name: 'tiny',
      version: '1',
      state: 'READY',
      reason: '',
    });
  });

  it('accepts flat and nested JSON alike', async () => {
    const flat = await post('/v2/models/tiny/infer', { id: 'a', inputs: [input([1, 2, 3, 4])] });
    const nested = await post('/v2/models/tiny/versions/live/infer', { inputs: [input([[1, 2, 3, 4]])] });
    expect(flat).toMatchObject({
      status: 200,
      type: 'application/json',
      json: { model_name: 'tiny', model_version: '1', id: 'a' },
    });
    expect(flat.json.outputs).toEqual(nested.json.outputs);
    expect(flat.json.outputs[0]).toMatchObject({
      name: 'score',
      datatype: 'FP32',
      shape: [1, 1],
      data: [expect.any(Number)],
    });
  });

  it('accepts and returns binary tensors', async () => {
    const ask = {
      inputs: [input(undefined, { parameters: { binary_data_size: 16 } })],
      parameters: { binary_data_output: true },
    };
    const { body, headers } = withBinary(ask, floats(1, 2, 3, 4));
    const reply = await post('/v2/models/tiny/infer', body, headers);
    expect(reply.type).toBe('application/octet-stream');
    expect(reply.json.outputs).toEqual([
      { name: 'score', datatype: 'FP32', shape: [1, 1], parameters: { binary_data_size: 4 } },
    ]);
    const json = await post('/v2/models/tiny/infer', { inputs: [input([1, 2, 3, 4])] });
    expect(floatsOf(reply.binary)).toEqual(json.json.outputs[0].data.map(Math.fround));
    // A setting of one output has precedence over that of the request.
    const own = withBinary(
      { ...ask, outputs: [{ name: 'score', parameters: { binary_data: false } }] },
      floats(1, 2, 3, 4),
    );
    expect((await post('/v2/models/tiny/infer', own.body, own.headers)).type).toBe('application/json');
  });

  it('accepts a body of only the bytes of a single input', async () => {
    const reply = await post('/v2/models/tiny/infer', floats(1, 2, 3, 4, 5, 6, 7, 8), {
      'inference-header-content-length': '0',
    });
    expect(reply.json.outputs[0]).toMatchObject({ shape: [2, 1] });
    expect(reply.binary).toHaveLength(8);
  });

  it('loses no digit of a 64-bit integer and no character of a text, and mixes JSON with bytes', async () => {
    const tensors = [
      { name: 'long', shape: [2], datatype: 'INT64' },
      { name: 'text', shape: [2], datatype: 'BYTES', data: ['é', ''] },
      { name: 'half', shape: [2], datatype: 'FP16', parameters: { binary_data_size: 4 } },
    ];
    const text = JSON.stringify({
      inputs: tensors,
      outputs: [
        { name: 'long_out' },
        { name: 'text_out' },
        { name: 'half_out', parameters: { binary_data: true } },
      ],
    });
    const head = Buffer.from(
      text.replace('"INT64"', '"INT64","data":[9007199254740993,-9223372036854775808]'),
    );
    const body = Buffer.concat([head, Buffer.of(0, 0x3c, 0, 0xc0)]);
    const reply = await post('/v2/models/mixed/infer', body, {
      'inference-header-content-length': String(head.length),
    });
    expect(reply.status).toBe(200);
    expect(reply.text).toContain('[9007199254740993,-9223372036854775808]');
    expect(reply.json.outputs[1].data).toEqual(['é', '']);
    expect(reply.binary).toEqual(Buffer.of(0, 0x3c, 0, 0xc0));
  });

  it('reads compressed bodies', async () => {
    const body = gzipSync(JSON.stringify({ inputs: [input([1, 2, 3, 4])] }));
    expect((await post('/v2/models/tiny/infer', body, { 'content-encoding': 'gzip' })).status).toBe(200);
    expect(
      (await post('/v2/models/tiny/infer', Buffer.from('no'), { 'content-encoding': 'gzip' })).status,
    ).toBe(400);
  });

  it.each([
    ['an unknown model', '/v2/models/nobody/infer', { inputs: [] }, 404, /nobody/],
    ['an unknown version', '/v2/models/tiny/versions/9/infer', { inputs: [] }, 404, /version 9/],
    ['no JSON', '/v2/models/tiny/infer', Buffer.from('{'), 400, /not JSON/],
    ['a request without inputs', '/v2/models/tiny/infer', {}, 400, /inputs/],
    [
      'too few elements',
      '/v2/models/tiny/infer',
      { inputs: [input([1, 2])] },
      400,
      /'input' has 2 elements.*\[1,4\] has 4/,
    ],
    ['a null', '/v2/models/tiny/infer', { inputs: [input([1, null, 3, 4])] }, 400, /'input'.*null/],
    [
      'another type',
      '/v2/models/tiny/infer',
      { inputs: [input(['a', 'b', 'c', 'd'], { datatype: 'BYTES' })] },
      400,
      /BYTES.*FP32/,
    ],
    [
      'data and bytes at once',
      '/v2/models/tiny/infer',
      { inputs: [input([1], { parameters: { binary_data_size: 4 } })] },
      400,
      /both/,
    ],
    [
      'missing bytes',
      '/v2/models/tiny/infer',
      { inputs: [input(undefined, { parameters: { binary_data_size: 16 } })] },
      400,
      /expecting 16 additional bytes/,
    ],
    ['an unknown path', '/v2/nowhere', {}, 404, /Not Found/],
    ['another method', '/v2/models/tiny/ready', {}, 405, /Method Not Allowed/],
  ])('refuses %s', async (_, path, body, status, error) => {
    const reply = await post(path, body);
    expect(reply).toMatchObject({ status, type: 'application/json' });
    expect(reply.json.error).toMatch(error);
  });

  it.each([
    ['from a web page', { origin: 'http://page.example' }, 403, /Origin.*HOTLOOP_API_KEYS/],
    ['from a sandboxed web page', { origin: 'null' }, 403, /Origin/],
    [
      'for a host name that resolves to this machine (DNS rebinding)',
      { host: 'page.example' },
      403,
      /Host.*loopback/,
    ],
    [
      'for a host name that starts with a loopback address',
      { host: '127.0.0.1.page.example:8000' },
      403,
      /Host/,
    ],
    ['for a malformed Host header', { host: '::1' }, 403, /Host/],
    ['for localhost', { host: 'LocalHost:8000' }, 200, undefined],
    ['for loopback without a port', { host: '[::1]' }, 200, undefined],
  ])('without API keys, answers a request %s', async (_, headers, status, error) => {
    const reply = await postRaw('/v2/repository/index', headers);
    expect(reply.status).toBe(status);
    if (error) expect(reply.json).toEqual({ error: expect.stringMatching(error), reason: 'web_page' });
  });

  it('rejects a header length beyond the body, and extra bytes', async () => {
    const good = withBinary({ inputs: [input([1, 2, 3, 4])] }, Buffer.from('more'));
    expect((await post('/v2/models/tiny/infer', good.body, good.headers)).json.error).toMatch(
      /additional input data/,
    );
    const reply = await post('/v2/models/tiny/infer', good.body, {
      'inference-header-content-length': '99999',
    });
    expect(reply.json.error).toMatch(/should be in range/);
  });
});
