import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import compress from '@fastify/compress';
import cookie from '@fastify/cookie';
import swagger from '@fastify/swagger';
import { HotloopError } from '@hotloop/proto/errors.ts';
import fastify, { type FastifyRequest } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { type Authenticator, type Caller, permitNamed, withRole } from '../auth/authorization.ts';
import { formatAddress, parseListenAddress } from '../grpc/listen-address.ts';
import type { Log } from '../log.ts';
import { httpDurations } from '../telemetry/call-durations.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { followCertificates, httpsOptions, refuseUnverified } from '../tls/https-options.ts';
import type { TlsIdentity } from '../tls/tls-identity.ts';
import type { BrowserSessions } from './browser-session.ts';
import { type HttpApp, type RouteModule, typed } from './http-app.ts';
import type { OidcLoginSettings } from './oidc-issuer.ts';
import { oidcLoginRoutes } from './oidc-login.ts';
import { createOidcSessions } from './oidc-sessions.ts';
import { pageRoutes } from './page-routes.ts';
import { sendProblem } from './problem.ts';
import { refuseForeignPage } from './refuse-web-page.ts';
import { credentialsOf, sessionRoutes } from './session-routes.ts';
import { parseStrictJson } from './strict-json.ts';

export type { HttpApp, RouteModule } from './http-app.ts';

/** The settings of a service's HTTP address. */
export interface HttpOptions {
  readonly listen: string;
  readonly metrics: Metrics;
}

export interface HttpServerOptions {
  /** host:port; port 0 picks a free port. An address other than loopback requires API keys. */
  readonly listen: string;
  /** Title of the OpenAPI document. */
  readonly title: string;
  /** Largest accepted body in bytes; routes may set their own. */
  readonly maxBodyBytes?: number;
  readonly routes: readonly RouteModule[];
  /** A web application that this server serves and that calls its routes. */
  readonly pages?: Pages;
  /**
   * For keys that are limited to some models: maps a path parameter, such as `rollout`, to the model that the
   * resource belongs to.
   */
  readonly modelOf?: Readonly<Record<string, ModelOf>>;
}

/** Null: there is no such resource. */
export type ModelOf = (id: string) => Promise<string | null>;

export interface Pages {
  /** Contains `index.html` and `assets/`. */
  readonly folder: string;
  readonly sessions: BrowserSessions;
  /** Login at an OpenID Connect issuer, in addition to login by key. */
  readonly oidc?: OidcLoginSettings | undefined;
}

export interface HttpServerAdapters {
  readonly authenticator: Authenticator;
  /** Without it connections are not encrypted. */
  readonly tls?: TlsIdentity | undefined;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Whether the service accepts requests now; if false, /readyz answers 503. */
  readonly isReady?: () => boolean;
}

export interface HttpServer extends AsyncDisposable {
  readonly address: string;
  /** Stops accepting connections and waits for running requests; at the deadline the rest is cut off. */
  drain(deadlineMs: number): Promise<void>;
}

const DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024;
const JSON_TYPES = ['application/json', 'application/cloudevents+json', 'application/cloudevents-batch+json'];
/** Bodies of these types are passed to the route as a stream. */
const STREAM_TYPES = [
  'application/x-ndjson',
  'application/jsonl',
  'text/csv',
  'application/vnd.apache.parquet',
];
const SAFE_METHODS = new Set(['GET', 'HEAD']);
const ANYONE: Caller = { subject: '', roles: new Set() };

/**
 * Starts an HTTP server with the given routes, `/livez`, `/readyz`, `/metrics` (Prometheus) and `/openapi.json`
 * (OpenAPI 3.1). Errors are `application/problem+json`. Throws INVALID_ARGUMENT for an address that other machines
 * can reach without API keys, and for a route that names no role; UNAVAILABLE when the address is in use.
 */
export async function openHttpServer(
  options: HttpServerOptions,
  adapters: HttpServerAdapters,
): Promise<HttpServer> {
  const { host, port, isLoopback } = parseListenAddress(options.listen);
  if (!isLoopback && !adapters.authenticator.required)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${options.listen} can be reached from other machines: set HOTLOOP_API_KEYS`,
      { reason: 'open_without_keys' },
    );
  const bare = fastify({
    bodyLimit: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    genReqId: (request) => String(request.headers['x-request-id'] ?? randomUUID()),
    forceCloseConnections: 'idle',
    logger: false,
    ...(adapters.tls === undefined ? {} : { https: httpsOptions(adapters.tls) }),
  });
  const app = typed(bare);
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    JSON_TYPES,
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => parseStrictJson(body),
  );
  app.addContentTypeParser(STREAM_TYPES, async (_request: FastifyRequest, body: unknown) => body);
  app.decorateRequest('caller', null as unknown as Caller);
  app.addHook('onRoute', (route) => {
    if (route.config?.requires === undefined)
      throw new HotloopError('INVALID_ARGUMENT', `${route.method} ${route.url} names no role`, {
        reason: 'no_authorization_row',
      });
  });
  await app.register(cookie);
  app.addHook('onRequest', async (request) => {
    // No name contains a NUL character, and Postgres does not accept it.
    if (/%00/.test(request.url))
      throw new HotloopError('INVALID_ARGUMENT', 'the URL contains a NUL character', {
        reason: 'invalid_request',
      });
    if (request.routeOptions.config.requires !== 'public') refuseUnverified(request.raw, adapters.tls);
    if (!adapters.authenticator.required) refuseForeignPage(request.headers);
    request.caller = await callerOf(request, adapters.authenticator, options.pages?.sessions);
  });
  app.addHook('preHandler', async (request) => {
    const { requires = 'operate', checksModel = false } = request.routeOptions.config;
    if (request.caller.models === undefined || checksModel) return;
    const named = await namedModels(request, options.modelOf);
    if (named.length === 0) permitNamed(request.caller, requires, undefined);
    for (const model of named) permitNamed(request.caller, requires, model);
  });
  const durations = httpDurations(adapters.metrics.tallies);
  app.addHook('onResponse', async (request, reply) => {
    // Read and discard the rest of a rejected upload; otherwise the next request of the connection is never read.
    request.raw.resume();
    const route = request.routeOptions.url ?? 'none';
    durations(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
  });
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, adapters.log));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      new HotloopError('NOT_FOUND', `${request.method} ${request.url.split('?')[0]} is not served here`),
      request,
      reply,
      adapters.log,
    ),
  );
  await app.register(compress, { global: true, threshold: 1024 });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: options.title, version: '1' },
      components: {
        securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } },
      },
      security: [{ apiKey: [] }],
    },
    transform: jsonSchemaTransform,
  });
  addOwnRoutes(app, adapters);
  for (const add of options.routes) await add(app);
  if (options.pages) {
    const { sessions, oidc } = options.pages;
    const logins = oidc && createOidcSessions(oidc, adapters.authenticator, sessions);
    await sessionRoutes(adapters.authenticator, sessions, logins)(app);
    if (oidc && logins) await oidcLoginRoutes(oidc, sessions, logins)(app);
    await pageRoutes(options.pages.folder)(app);
  }
  const address = await listen(app, host, port);
  if (adapters.tls) followCertificates(app.server, adapters.tls);
  let drained: Promise<void> | undefined;
  const drain = (deadlineMs: number) => {
    drained ??= close(app, deadlineMs);
    return drained;
  };
  return { address, drain, [Symbol.asyncDispose]: () => drain(0) };
}

function addOwnRoutes(app: HttpApp, { metrics, isReady }: HttpServerAdapters): void {
  const open = { config: { requires: 'public' }, schema: { hide: true } } as const;
  app.get('/livez', open, async () => ({ live: true }));
  app.get('/readyz', open, async (_request, reply) => {
    const ready = isReady?.() ?? true;
    return reply.code(ready ? 200 : 503).send({ ready });
  });
  app.get('/metrics', open, async (request, reply) => {
    const { contentType, text } = await metrics.scrape(request.headers.accept);
    return reply.type(contentType).send(text);
  });
  app.get('/openapi.json', open, async () => app.swagger());
}

/**
 * Every model that a request names, by an id in its path, in its path, its query or its body. Query and body count only
 * where the route declares them: a name that the handler does not read must not open it.
 */
async function namedModels(
  request: FastifyRequest,
  modelOf: HttpServerOptions['modelOf'] = {},
): Promise<readonly string[]> {
  const params = (request.params ?? {}) as Readonly<Record<string, unknown>>;
  const { querystring, body } = request.routeOptions.schema ?? {};
  const named: unknown[] = [];
  for (const [parameter, find] of Object.entries(modelOf)) {
    const id = params[parameter];
    if (typeof id === 'string') named.push(await find(id));
  }
  for (const part of [params, querystring && request.query, body && request.body])
    named.push((part as Readonly<Record<string, unknown>> | null | undefined)?.model);
  return named.filter((model): model is string => typeof model === 'string' && model !== '');
}

/** Rejects UNAUTHENTICATED or PERMISSION_DENIED. */
async function callerOf(
  request: FastifyRequest,
  authenticator: Authenticator,
  sessions: BrowserSessions | undefined,
): Promise<Caller> {
  const requires = request.routeOptions.config.requires;
  if (requires === undefined || requires === 'public') return ANYONE;
  // A read-only key is accepted by every route that only reads.
  const role = requires === 'operate' && SAFE_METHODS.has(request.method) ? 'read' : requires;
  return withRole(await authenticator.authenticate(credentialsOf(request, sessions)), role);
}

async function listen(app: HttpApp, host: string, port: number): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    if (error instanceof HotloopError) throw error;
    throw new HotloopError('UNAVAILABLE', `cannot listen on ${formatAddress(host, port)}`, { cause: error });
  }
  return formatAddress(host, (app.server.address() as AddressInfo).port);
}

async function close(app: HttpApp, deadlineMs: number): Promise<void> {
  const cut = setTimeout(() => app.server.closeAllConnections(), deadlineMs);
  try {
    await app.close();
  } finally {
    clearTimeout(cut);
  }
}
