import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import type { LambdaAnswer, LambdaEvent } from './lambda-handler.ts';
import type { ModelHost } from './model-host.ts';

export interface SagemakerServer extends AsyncDisposable {
  readonly port: number;
}

interface Answer {
  readonly status: number;
  readonly body?: object | string;
}

const MAX_BODY_BYTES = 6 * 1024 * 1024;

/**
 * SageMaker's container interface: GET /ping, POST /invocations; with a host also that of multi-model endpoints: POST
 * and GET /models, GET and DELETE /models/NAME, POST /models/NAME/invoke. KServe's V1 protocol asks the only model by
 * other paths: GET /v1/models/NAME, POST /v1/models/NAME:predict.
 *
 * @param handle the only model of the container; undefined: only those of the host.
 */
export async function startSagemakerServer(
  handle: ((event: LambdaEvent) => Promise<LambdaAnswer>) | undefined,
  listen: { readonly host: string; readonly port: number },
  host?: ModelHost,
): Promise<SagemakerServer> {
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request).catch(() => undefined);
    const { status, body: text = '' } =
      body === undefined ? { status: 413 } : await answer(request.method ?? '', request.url ?? '', body);
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(typeof text === 'string' ? text : JSON.stringify(text));
  });

  async function answer(method: string, url: string, body: string): Promise<Answer> {
    if (url === '/ping' && method === 'GET') return { status: 200 };
    if (url === '/invocations' && method === 'POST' && handle) return ofLambda(await handle({ body }));
    const asked = /^\/v1\/models\/([^/:]+)(:predict)?$/.exec(url);
    if (asked && handle && asked[2] !== undefined && method === 'POST')
      return ofLambda(await handle({ body }));
    if (asked && handle && asked[2] === undefined && method === 'GET')
      return { status: 200, body: { name: decodeURIComponent(asked[1] ?? ''), ready: true } };
    const [, models, name = '', invoke] = url.split('/').map(decodeURIComponent);
    if (models !== 'models' || host === undefined) return { status: 404 };
    if (name === '' && method === 'GET') return { status: 200, body: { models: host.list() } };
    if (name === '' && method === 'POST') return load(host, body);
    const found = host.find(name);
    if (found === undefined) return { status: 404, body: { detail: `model ${name} is not loaded` } };
    if (invoke === 'invoke' && method === 'POST') return ofLambda(await found({ body }));
    if (method === 'GET')
      return { status: 200, body: host.list().find(({ modelName }) => modelName === name) ?? {} };
    if (method === 'DELETE') return { status: host.unload(name) ? 200 : 404 };
    return { status: 405 };
  }

  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** SageMaker requires 409 when the model is already loaded, and 400 when it cannot be loaded. */
async function load(host: ModelHost, body: string): Promise<Answer> {
  try {
    const { model_name: name, url } = JSON.parse(body) as { model_name?: unknown; url?: unknown };
    if (typeof name !== 'string' || typeof url !== 'string' || name === '')
      return { status: 400, body: { detail: 'send {"model_name": "...", "url": "FOLDER"}' } };
    await host.load(name, url);
    return { status: 200 };
  } catch (error) {
    const { code, message } = toHotloopError(error);
    return { status: code === 'ALREADY_EXISTS' ? 409 : 400, body: { detail: message } };
  }
}

function ofLambda({ statusCode, body }: LambdaAnswer): Answer {
  return { status: statusCode, body };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw new RangeError('too large');
  return (await buffer(request)).toString('utf8');
}
