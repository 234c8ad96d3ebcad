import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import type { LambdaAnswer, LambdaEvent } from './lambda-handler.ts';

export interface SagemakerServer extends AsyncDisposable {
  readonly port: number;
}

const MAX_BODY_BYTES = 6 * 1024 * 1024;

/** The container contract of SageMaker: GET /ping, POST /invocations, on port 8080. */
export async function startSagemakerServer(
  handle: (event: LambdaEvent) => Promise<LambdaAnswer>,
  listen: { readonly host: string; readonly port: number },
): Promise<SagemakerServer> {
  const server = createServer(async (request, response) => {
    if (request.url === '/ping' && request.method === 'GET') return void response.end();
    if (request.url !== '/invocations' || request.method !== 'POST')
      return void response.writeHead(404).end();
    const body = await bodyOf(request).catch(() => undefined);
    if (body === undefined) return void response.writeHead(413).end();
    const answer = await handle({ body });
    response.writeHead(answer.statusCode, answer.headers).end(answer.body);
  });
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

async function bodyOf(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) throw new RangeError('too large');
  return (await buffer(request)).toString('utf8');
}
