import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { HOSTILE_JSON, HOSTILE_TEXTS, type HostileInput, leakOf } from './hostile-input.ts';

interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Anything other than a caller's fault, or a missing capability, is wrong: 5xx of our own must not occur. */
function wrongStatus(status: number, mayBeFine: boolean): boolean {
  if (status >= 400 && status < 500) return false;
  return !(mayBeFine && ((status >= 200 && status < 400) || status === 503));
}

async function ask(address: string, { method, path, body, headers }: HttpRequest, mayBeFine: boolean) {
  const abort = AbortSignal.timeout(15_000);
  const response = await fetch(`http://${address}${path}`, {
    ...{ method, redirect: 'manual', signal: abort },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
  });
  // A stream that continues is not an error; its beginning is enough.
  const reader = response.body?.getReader();
  const first = await reader?.read();
  await reader?.cancel().catch(() => undefined);
  const text = Buffer.from(first?.value ?? []).toString('utf8');
  if (wrongStatus(response.status, mayBeFine)) return `status ${response.status}: ${text.slice(0, 200)}`;
  if (response.status < 400) return undefined;
  const leak = leakOf(text, `${path} ${typeof body === 'string' ? body : ''}`);
  if (leak !== undefined) return `the answer reveals ${JSON.stringify(leak)}`;
  if (method !== 'HEAD' && !/"(?:code|error)"\s*:/.test(text)) return `no coded error: ${text.slice(0, 200)}`;
  return undefined;
}

interface OpenApi {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Routes of the Open Inference Protocol, which is not described by OpenAPI. */
const OIP_ROUTES: readonly [string, string][] = [
  ['GET', '/v2/models/{model}'],
  ['GET', '/v2/models/{model}/ready'],
  ['GET', '/v2/models/{model}/config'],
  ['GET', '/v2/models/{model}/stats'],
  ['GET', '/v2/models/{model}/versions/{version}'],
  ['POST', '/v2/models/{model}/infer'],
  ['POST', '/v2/models/{model}/versions/{version}/infer'],
  ['POST', '/v2/repository/index'],
  ['POST', '/v2/repository/models/{model}/load'],
  ['POST', '/v2/repository/models/{model}/unload'],
];

/** Valid requests that would stop or delete something that the drill needs. */
const DESTRUCTIVE = /unload|schedules|\/cancel|rollback/;

async function routesOf(address: string): Promise<[string, string][]> {
  const response = await fetch(`http://${address}/openapi.json`);
  if (!response.ok) return [...OIP_ROUTES];
  const { paths = {} } = (await response.json()) as OpenApi;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), path]),
  );
}

/** Every route of every service with hostile parts of its path, queries, headers and bodies. */
export async function httpInputs(addresses: readonly string[], model: string): Promise<HostileInput[]> {
  const inputs: HostileInput[] = [];
  const add = (address: string, request: HttpRequest, mayBeFine: boolean, what: string) =>
    inputs.push({
      door: 'http',
      name: `${request.method} ${request.path.slice(0, 80)} ${what}`,
      send: () => ask(address, request, mayBeFine),
    });
  for (const address of addresses) {
    for (const [method, template] of await routesOf(address)) {
      const fill = (value: string) =>
        template.replaceAll(/\{\w+\}/g, () => encodeURIComponent(value.toWellFormed()));
      const hasBody = method === 'POST' || method === 'PUT';
      if (template.includes('{'))
        for (const [index, text] of HOSTILE_TEXTS.entries())
          if (text !== '' && text.length < 5_000 && (index + template.length) % 3 === 0)
            add(
              address,
              { method, path: fill(text), ...(hasBody ? { body: '{}' } : {}) },
              true,
              'text in its path',
            );
      if (hasBody)
        for (const body of HOSTILE_JSON)
          add(address, { method, path: fill(model), body }, true, `body ${body.slice(0, 20)}`);
      if (!DESTRUCTIVE.test(template))
        add(
          address,
          { method, path: `${fill(model)}?limit=-1&limit=x&cursor=%00&max_refused=1e9` },
          true,
          'query',
        );
      add(address, { method: 'TRACE-X', path: fill(model) }, false, 'unknown method');
    }
    for (const path of [
      '/../../etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/..%5c..%5cwindows',
      '/.env',
      '/.git/config',
    ])
      add(address, { method: 'GET', path }, address === addresses.at(-1), 'a path that leads out');
    add(
      address,
      compressed(gzipSync(Buffer.alloc(64 * 1024 * 1024)), model),
      false,
      'a body that grows a thousand times',
    );
    add(address, compressed(Buffer.from('no gzip'), model), false, 'a body that is not compressed');
    add(
      address,
      { ...compressed(gzipSync('{}'), model), headers: { 'content-encoding': 'br, gzip, x-unknown' } },
      false,
      'unknown encodings',
    );
    for (const raw of RAW)
      inputs.push({
        door: 'http',
        name: `raw: ${JSON.stringify(raw.slice(0, 60))}`,
        send: () => sendRaw(address, raw),
      });
  }
  return inputs;
}

function compressed(body: Uint8Array, model: string): HttpRequest {
  return { method: 'POST', path: `/v2/models/${model}/infer`, body, headers: { 'content-encoding': 'gzip' } };
}

const RAW: readonly string[] = [
  '\r\n\r\n',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: \u0000\r\n\r\n',
  `GET /${'a'.repeat(70_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(5_000)}\r\n`,
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n',
  'CONNECT example.invalid:443 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://example.invalid/ HTTP/1.1\r\nHost: a\r\n\r\n',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003',
  'GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: a\u0001b\r\n\r\n',
];

/** Bytes that are not an HTTP request: must be answered with a 4xx, or the connection closed. */
async function sendRaw(address: string, text: string): Promise<string | undefined> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  // Closing the connection is a valid answer, too.
  const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
  socket.write(Buffer.from(text, 'latin1'));
  socket.end();
  await closed;
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 400);
  if (status >= 500 && status !== 505) return `status ${status}`;
  const leak = leakOf(answer, text);
  return leak === undefined ? undefined : `the answer reveals ${JSON.stringify(leak)}`;
}
