import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { AUTHORIZATION, type Authenticator, type Requirement } from '../auth/authorization.ts';
import { widenReceiveWindow } from '../framed/served/receive-window.ts';
import type { Log } from '../log.ts';
import { rpcDurations } from '../telemetry/call-durations.ts';
import type { Tallies } from '../telemetry/tallies.ts';
import type { TlsIdentity } from '../tls/tls-identity.ts';
import { ActiveCalls } from './active-calls.ts';
import { guardService } from './guard.ts';
import { createHealth, type Health } from './health.ts';
import { onHttp2Session } from './http2-sessions.ts';
import { decodingLate } from './late-request.ts';
import { formatAddress, parseListenAddress } from './listen-address.ts';
import { listenShared, type SharedPort } from './shared-port.ts';
import { replaceStreamTable } from './stream-table.ts';
import { markingUnreadable } from './unreadable-request.ts';

export interface ServedService {
  /** Full name, such as hotloop.v1.PredictionService; must be in the definitions. */
  readonly name: string;
  /** By method name. Create them with unary, serverStream, clientStream, orderedStream or framedHandler. */
  readonly handlers: UntypedServiceImplementation;
  /** Methods whose handlers get a `LateRequest`. Default: none. */
  readonly late?: readonly string[];
}

export interface GrpcServerOptions {
  readonly services: readonly ServedService[];
  /** From `loadServiceDefinitions`; also what reflection shows. */
  readonly definitions: PackageDefinition;
  /** host:port; port 0 picks a free port. An address other than loopback requires API keys. */
  readonly address: string;
  /** Other processes listen on the same port, too; see `listenShared`. Default: false. */
  readonly sharePort?: boolean | undefined;
  readonly authenticator: Authenticator;
  /** Default: AUTHORIZATION. */
  readonly authorization?: ReadonlyMap<string, Requirement>;
  readonly log: Log;
  /** Without it connections are not encrypted. */
  readonly tls?: TlsIdentity | undefined;
  /** Counts calls, including health and reflection. */
  readonly tallies?: Tallies | undefined;
  /** Largest message in either direction; default 64 MiB. */
  readonly maxMessageBytes?: number;
  /** Time after which a connection without calls is closed; default 5 minutes. */
  readonly maxConnectionIdleMs?: number;
  /** Age after which a connection is renewed, for clients at the edge; default never. */
  readonly maxConnectionAgeMs?: number;
}

export interface GrpcServer extends AsyncDisposable {
  readonly port: number;
  /** host:port as bound. */
  readonly address: string;
  /**
   * Sets the health of a name: a service, 'readiness', 'liveness', or '' for all except liveness. All except liveness
   * start as not serving.
   */
  setServing(service: string, serving: boolean): void;
  /**
   * Becomes not serving, accepts no new calls and waits for those in flight; at the deadline the rest is cut off.
   * Runs once.
   */
  drain(deadlineMs: number): Promise<void>;
}

const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
/**
 * Limits memory: a running call takes 30 to 40 KB. After a pause of the machine, all calls that arrived meanwhile run
 * at once, and the heap does not shrink again under load. The client's library holds back the calls beyond this
 * limit.
 */
const MAX_CONCURRENT_STREAMS = 256;
const KEEPALIVE_MS = 10_000;
/** How long connections get to close when no time is left. */
const CLOSE_MS = 500;

/**
 * Throws INVALID_ARGUMENT (a method without a row, an address reachable by others without keys), UNAVAILABLE (address
 * in use).
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  // The library prints what it also reports as errors, but a service's stderr must contain only JSON lines.
  setLogVerbosity(logVerbosity.NONE);
  const { host, isLoopback } = parseListenAddress(options.address);
  if (!isLoopback && !options.authenticator.required)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `${options.address} can be reached from other machines: set HOTLOOP_API_KEYS, or listen on 127.0.0.1`,
      { reason: 'open_without_keys' },
    );
  const draining = new AbortController();
  const health = createHealth(options.services.map((service) => service.name));
  const server = new Server(serverOptions(options));
  const active = new ActiveCalls();
  const guard = {
    authenticator: options.authenticator,
    authorization: options.authorization ?? AUTHORIZATION,
    draining: draining.signal,
    durations: options.tallies && rpcDurations(options.tallies),
    log: options.log,
  };
  const add = (
    definition: ServiceDefinition,
    handlers: UntypedServiceImplementation,
    counted?: ActiveCalls,
  ) => server.addService(definition, guardService(definition, handlers, { ...guard, active: counted }));
  for (const { name, handlers, late = [] } of options.services) {
    const definition = markingUnreadable(definitionOf(options.definitions, name));
    add(decodingLate(definition, late), handlers, active);
  }
  add(markingUnreadable(health.definition), health.handlers);
  addReflection(options, add);
  const { port, close } = await bind(server, options);
  // No new connections while what came is answered.
  draining.signal.addEventListener('abort', close, { once: true });
  onHttp2Session(server, (session) => {
    widenReceiveWindow(session);
    if (!replaceStreamTable(session))
      options.log.debug('the streams of a connection are stored differently in this Node version');
  });
  return new RunningServer(
    server,
    health,
    { draining, active },
    port,
    formatAddress(host, port),
    options.log,
  );
}

function serverOptions(options: GrpcServerOptions) {
  const maxBytes = options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  return {
    'grpc.max_receive_message_length': maxBytes,
    'grpc.max_send_message_length': maxBytes,
    // channelz records every call for a debugging service that is not served; we have our own traces and metrics.
    'grpc.enable_channelz': 0,
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_MS / 2,
    'grpc.max_connection_idle_ms': options.maxConnectionIdleMs ?? 300_000,
    ...(options.maxConnectionAgeMs === undefined
      ? {}
      : {
          'grpc.max_connection_age_ms': options.maxConnectionAgeMs,
          'grpc.max_connection_age_grace_ms': options.maxConnectionAgeMs,
        }),
  };
}

function definitionOf(definitions: PackageDefinition, name: string): ServiceDefinition {
  const definition = definitions[name];
  if (definition === undefined || 'format' in definition)
    throw new HotloopError('INVALID_ARGUMENT', `${name} is not a service of the definitions`);
  return definition as ServiceDefinition;
}

function addReflection(
  options: GrpcServerOptions,
  add: (definition: ServiceDefinition, handlers: UntypedServiceImplementation) => void,
): void {
  const reflection = new ReflectionService(options.definitions, {
    services: options.services.map((service) => service.name),
  });
  reflection.addToServer({ addService: add } as Parameters<ReflectionService['addToServer']>[0]);
}

async function bind(server: Server, options: GrpcServerOptions): Promise<SharedPort> {
  const { tls } = options;
  const credentials = tls ? tls.serverCredentials() : ServerCredentials.createInsecure();
  try {
    if (options.sharePort)
      return await listenShared(server, credentials, parseListenAddress(options.address));
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(options.address, credentials, (cause, bound) =>
        cause ? reject(cause) : resolve(bound),
      );
    });
    // The library closes its own port when it shuts down.
    return { port, close: () => undefined };
  } catch (cause) {
    server.forceShutdown();
    throw new HotloopError('UNAVAILABLE', `cannot listen on ${options.address}: is it in use?`, {
      reason: 'cannot_listen',
      cause,
    });
  }
}

class RunningServer implements GrpcServer {
  readonly port: number;
  readonly address: string;
  readonly #server: Server;
  readonly #health: Health;
  readonly #calls: { readonly draining: AbortController; readonly active: ActiveCalls };
  readonly #log: Log;
  #drained: Promise<void> | undefined;

  constructor(
    server: Server,
    health: Health,
    calls: { readonly draining: AbortController; readonly active: ActiveCalls },
    port: number,
    address: string,
    log: Log,
  ) {
    this.#server = server;
    this.#health = health;
    this.#calls = calls;
    this.port = port;
    this.address = address;
    this.#log = log;
  }

  setServing(service: string, serving: boolean): void {
    this.#health.set(service, serving);
  }

  drain(deadlineMs: number): Promise<void> {
    this.#drained ??= this.#drain(deadlineMs);
    return this.#drained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  /**
   * Connections get their GOAWAY only after the last call has ended: grpc-js clients treat a connection that is going
   * away as dead at their next keepalive, and would fail the calls in flight on it.
   */
  async #drain(deadlineMs: number): Promise<void> {
    const endAt = performance.now() + deadlineMs;
    this.#health.drain();
    this.#calls.draining.abort(new DOMException('the server is draining', 'AbortError'));
    await this.#calls.active.none(deadlineMs);
    const ended = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    if (this.#calls.active.count > 0) {
      this.#log.warn(
        { calls: this.#calls.active.count, deadlineMs },
        'calls were cut off at the drain deadline',
      );
      this.#server.forceShutdown();
    }
    // Connections without calls close at once, unless their client does not answer.
    const timer = setTimeout(
      () => this.#server.forceShutdown(),
      Math.max(CLOSE_MS, endAt - performance.now()),
    );
    await ended;
    clearTimeout(timer);
  }
}
