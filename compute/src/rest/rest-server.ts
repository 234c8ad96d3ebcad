import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  AUTHORIZATION,
  type Authenticator,
  authorize,
  permitNamed,
} from '@hotloop/platform/auth/authorization.ts';
import { formatAddress, parseListenAddress } from '@hotloop/platform/grpc/listen-address.ts';
import { HTTP_STATUS } from '@hotloop/platform/http/http-status.ts';
import { refuseWebPage } from '@hotloop/platform/http/refuse-web-page.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { type HttpDurations, httpDurations } from '@hotloop/platform/telemetry/call-durations.ts';
import type { Metrics } from '@hotloop/platform/telemetry/metrics.ts';
import { followCertificates, httpsOptions, refuseUnverified } from '@hotloop/platform/tls/https-options.ts';
import type { TlsIdentity } from '@hotloop/platform/tls/tls-identity.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { OipParts } from '../grpc/oip-service.ts';
import { readBody } from './read-body.ts';
import { REST_ROUTES, type RestReply, type RestRoute } from './rest-routes.ts';

export interface RestServerOptions {
  /** host:port; port 0 picks a free port. An address other than loopback requires API keys. */
  readonly listen: string;
  readonly maxBodyBytes: number;
  /** Maximum timeout of a request. */
  readonly maxTimeoutMs: number;
}

export interface RestServer extends AsyncDisposable {
  readonly address: string;
  /** Stops accepting connections and waits for in-flight requests; at the deadline the remaining ones are cut off. */
  drain(deadlineMs: number): Promise<void>;
}

export interface RestAdapters {
  readonly authenticator: Authenticator;
  /** Without it, connections are not encrypted. */
  readonly tls?: TlsIdentity | undefined;
  /** Served under /metrics, without a key. Absent: no such path. */
  readonly metrics?: Metrics | undefined;
  readonly log: Log;
}

const MAX_CONNECTIONS = 4096;
const MAX_HEADER_BYTES = 32 * 1024;

/**
 * Serves the protocol over HTTP/1.1. Throws INVALID_ARGUMENT (reachable from other machines without keys),
 * UNAVAILABLE (address in use).
 */
export async function startRestServer(
  options: RestServerOptions,
  oip: OipParts,
  adapters: RestAdapters,
): Promise<RestServer> {
  const { authenticator } = adapters;
  const { host, port, isLoopback } = parseListenAddress(options.listen);
  if (!isLoopback && !authenticator.required)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${options.listen} can be reached from other machines: set HOTLOOP_API_KEYS`,
      {
        reason: 'open_without_keys',
      },
    );
  const { tls } = adapters;
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    requestTimeout: options.maxTimeoutMs,
    keepAliveTimeout: 60_000,
  };
  const durations = adapters.metrics && httpDurations(adapters.metrics.tallies);
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (durations) measure(request, response, durations);
    void answer(request, response, { options, oip, ...adapters });
  };
  const server = tls
    ? createSecureServer({ ...limits, ...httpsOptions(tls) }, serve)
    : createServer(limits, serve);
  if (tls) followCertificates(server, tls);
  server.maxConnections = MAX_CONNECTIONS;
  server.on('clientError', refuseBytes);
  await listen(server, host, port);
  const address = formatAddress(host, (server.address() as AddressInfo).port);
  let drained: Promise<void> | undefined;
  const drain = (deadlineMs: number) => {
    drained ??= close(server, deadlineMs);
    return drained;
  };
  return { address, drain, [Symbol.asyncDispose]: () => drain(0) };
}

/** Answers bytes that are not an HTTP request in the same form as every other error, if the client still listens. */
function refuseBytes(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const isLong = error.code === 'HPE_HEADER_OVERFLOW';
  const body = JSON.stringify({ error: isLong ? 'the headers are too long' : 'this is not an HTTP request' });
  const status = isLong ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Measures a request under the name of its RPC. Requests without a route share one name, which bounds the labels. */
function measure(request: IncomingMessage, response: ServerResponse, durations: HttpDurations): void {
  const startedAt = performance.now();
  const path = (request.url ?? '').split('?')[0] ?? '';
  response.once('close', () => {
    const route =
      REST_ROUTES.find((candidate) => candidate.path.test(path))
        ?.rpc.split('/')
        .at(-1) ?? 'none';
    const seconds = (performance.now() - startedAt) / 1000;
    durations(request.method ?? 'GET', route, response.statusCode, seconds);
  });
}

interface Serving extends RestAdapters {
  readonly options: RestServerOptions;
  readonly oip: OipParts;
}

async function answer(request: IncomingMessage, response: ServerResponse, serving: Serving): Promise<void> {
  try {
    const reply = await route(request, response, serving);
    write(response, reply);
  } catch (error) {
    const known = toHotloopError(error);
    if (known.code === 'INTERNAL') serving.log.error({ error, path: request.url }, 'a REST request failed');
    const status = known.reason === 'too_large' ? 413 : HTTP_STATUS[known.code];
    // Otherwise the unread rest of the body would be parsed as the next request.
    if (!request.complete) response.setHeader('connection', 'close');
    const reason = known.reason === '' ? {} : { reason: known.reason };
    write(response, { status, json: { error: known.message, ...reason } });
  }
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  serving: Serving,
): Promise<RestReply> {
  if (!serving.authenticator.required) refuseWebPage(request.headers);
  const path = (request.url ?? '').split('?')[0] ?? '';
  if (path === '/metrics' && serving.metrics !== undefined && isRead(request.method))
    return { status: 200, ...(await serving.metrics.scrape(request.headers.accept)) };
  if (!path.startsWith('/v2/health/')) refuseUnverified(request, serving.tls);
  const matching = REST_ROUTES.filter((candidate) => candidate.path.test(path));
  // HEAD is handled as GET; Node omits the body by itself.
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = matching.find((candidate) => candidate.method === method);
  if (!found) {
    if (matching.length > 0) {
      const allowed = matching.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
      response.setHeader('allow', allowed.join(', '));
      return { status: 405, json: { error: 'Method Not Allowed' } };
    }
    return { status: 404, json: { error: 'Not Found' } };
  }
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  const caller = await authorize(AUTHORIZATION, found.rpc, serving.authenticator, header);
  const { maxBodyBytes, maxTimeoutMs } = serving.options;
  const asked = target(found, path);
  // A key that is limited to some models may not list all models.
  permitNamed(caller, found.rpc.endsWith('/RepositoryIndex') ? 'operate' : 'predict', asked.model);
  const call = {
    ...asked,
    caller: caller.subject,
    maxTimeoutMs,
    header,
    body: () => readBody(request, maxBodyBytes),
    isOver: () => response.destroyed,
  };
  return found.handle(call, serving.oip);
}

const isRead = (method: string | undefined) => method === 'GET' || method === 'HEAD';

function target(found: RestRoute, path: string): { model: string; version: string } {
  const groups = found.path.exec(path)?.groups ?? {};
  try {
    return {
      model: decodeURIComponent(groups.model ?? ''),
      version: decodeURIComponent(groups.version ?? ''),
    };
  } catch {
    throw new HotloopError('INVALID_ARGUMENT', 'the path is not well encoded');
  }
}

/** Content types are exactly these, because clients compare them as text. */
function write(response: ServerResponse, reply: RestReply): void {
  if (response.destroyed) return;
  const body = reply.answer?.body ?? [Buffer.from(reply.text ?? JSON.stringify(reply.json))];
  const headerBytes = reply.answer?.headerBytes;
  response.statusCode = reply.status;
  response.setHeader(
    'content-type',
    headerBytes === undefined ? (reply.contentType ?? 'application/json') : 'application/octet-stream',
  );
  if (headerBytes !== undefined) response.setHeader('inference-header-content-length', headerBytes);
  const [first] = body;
  response.end(body.length === 1 && first ? first : Buffer.concat(body));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new HotloopError('UNAVAILABLE', `cannot listen on ${formatAddress(host, port)}: is it in use?`, {
          reason: 'cannot_listen',
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
}

async function close(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), deadlineMs);
  await closed;
  clearTimeout(timer);
}
