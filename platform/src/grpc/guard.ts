import { randomUUID } from 'node:crypto';
import type {
  Metadata,
  ServiceDefinition,
  UntypedHandleCall,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { errorCodeOf, HotloopError } from '@hotloop/proto/errors.ts';
import {
  type Authenticator,
  authorize,
  type Caller,
  permitNamed,
  type Requirement,
} from '../auth/authorization.ts';
import type { Log } from '../log.ts';
import type { RpcDurations } from '../telemetry/call-durations.ts';
import type { ActiveCalls } from './active-calls.ts';
import { attachContext, type CallContext, headerOf } from './call-context.ts';
import { toLoggedStatus } from './logged-status.ts';
import { UnreadableRequest } from './unreadable-request.ts';

export interface GuardOptions {
  readonly authenticator: Authenticator;
  readonly authorization: ReadonlyMap<string, Requirement>;
  /** Once fired, new calls are rejected with UNAVAILABLE; running calls continue. */
  readonly draining: AbortSignal;
  /** Counts running calls. Health and reflection are not counted, and are served until the end. */
  readonly active: ActiveCalls | undefined;
  readonly durations: RpcDurations | undefined;
  readonly log: Log;
}

/** The part of grpc-js' server calls that all four kinds share. */
interface AnyCall {
  readonly metadata: Metadata;
  /** Only for methods with a single request. */
  readonly request?: unknown;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  on(event: 'cancelled' | 'finish', listener: () => void): unknown;
  emit(event: 'error', error: unknown): boolean;
}

type AnyCallback = (error: unknown, reply?: unknown, trailer?: Metadata, flags?: number) => void;
type AnyHandler = (call: AnyCall, callback?: AnyCallback) => unknown;

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/**
 * Wraps every method of a service: the caller is authorized, the call's context attached, and whatever the handler
 * throws becomes a status. Throws INVALID_ARGUMENT for a method without a row in the authorization table.
 */
export function guardService(
  definition: ServiceDefinition,
  handlers: UntypedServiceImplementation,
  options: GuardOptions,
): UntypedServiceImplementation {
  const guarded: UntypedServiceImplementation = {};
  for (const [name, method] of Object.entries(definition)) {
    if (!options.authorization.has(method.path))
      throw new HotloopError('INVALID_ARGUMENT', `${method.path} has no row in the authorization table`, {
        reason: 'no_authorization_row',
      });
    const handler = handlers[name] ?? handlers[method.originalName ?? name];
    const answersOnce = !method.responseStream;
    guarded[name] = guard(
      method.path,
      answersOnce,
      handler?.bind(handlers) as AnyHandler | undefined,
      options,
    );
  }
  return guarded;
}

function guard(
  path: string,
  answersOnce: boolean,
  handler: AnyHandler | undefined,
  options: GuardOptions,
): UntypedHandleCall {
  const guarded: AnyHandler = (call, callback) => {
    const log = new LazyLog(options.log, path, call.metadata);
    const measured = options.durations && measure(path, options.durations);
    const fail = (error: unknown) => {
      const status = toLoggedStatus(fromLibraryStatus(error), log);
      measured?.(errorCodeOf(status.code));
      if (answersOnce) callback?.(status);
      else call.emit('error', status);
    };
    const serve = (caller: Caller) => {
      if (caller.models !== undefined) permitCall(caller, path, call.request, options.authorization);
      if (!handler) throw new HotloopError('UNIMPLEMENTED', 'this server does not implement the method');
      if (options.active && options.draining.aborted)
        throw new HotloopError('UNAVAILABLE', 'this server is shutting down; try again', {
          reason: 'draining',
        });
      if (call.request instanceof UnreadableRequest) throw call.request.refusal();
      attachContext(call, new GuardedCall(call, caller, options.draining, log));
      const end = options.active?.begin() ?? (() => undefined);
      call.on('cancelled', end);
      if (!answersOnce) call.on('finish', end);
      if (measured) {
        call.on('cancelled', () => measured('CANCELLED'));
        if (!answersOnce) call.on('finish', () => measured('OK'));
      }
      const pending = answersOnce
        ? handler(call, (error, ...rest) => {
            if (error) fail(error);
            else {
              measured?.('OK');
              callback?.(null, ...rest);
            }
            end();
          })
        : handler(call);
      if (pending instanceof Promise) pending.catch(fail);
    };
    try {
      const caller = authorize(options.authorization, path, options.authenticator, (name) =>
        headerOf(call.metadata, name),
      );
      if (caller instanceof Promise)
        caller
          .then((known) => {
            if (call.cancelled) throw new HotloopError('CANCELLED', 'the caller cancelled the call');
            serve(known);
          })
          .catch(fail);
      else serve(caller);
    } catch (error) {
      fail(error);
    }
  };
  return guarded as unknown as UntypedHandleCall;
}

/** Lists every model, although it only requires the role predict. */
const ABOUT_ALL: ReadonlySet<string> = new Set(['/inference.GRPCInferenceService/RepositoryIndex']);
/** The handlers of these methods check the model: of every message, or of what an id names. */
const CHECKED_BY_HANDLER: ReadonlySet<string> = new Set([
  '/hotloop.v1.JobService/GetRun',
  '/hotloop.v1.JobService/Trace',
  '/hotloop.v1.JobService/WatchRun',
  '/hotloop.v1.RegistryService/PushModel',
  '/inference.GRPCInferenceService/ModelStreamInfer',
]);

/** Checks that a key that is limited to some models may access the model of the call. */
function permitCall(
  caller: Caller,
  path: string,
  request: unknown,
  authorization: ReadonlyMap<string, Requirement>,
): void {
  if (CHECKED_BY_HANDLER.has(path)) return;
  const { model, modelName, name } = (request ?? {}) as Readonly<Record<string, unknown>>;
  const named = [model, modelName, name].find((value) => typeof value === 'string' && value !== '');
  const requirement = ABOUT_ALL.has(path) ? 'operate' : (authorization.get(path) ?? 'operate');
  permitNamed(caller, requirement, named as string | undefined);
}

/** Call the returned function with the call's final code; only the first call counts. */
function measure(path: string, durations: RpcDurations): (code: string) => void {
  const startedAt = performance.now();
  let isOver = false;
  return (code) => {
    if (isOver) return;
    isOver = true;
    durations(path.slice(1), code, (performance.now() - startedAt) / 1000);
  };
}

/** The libraries for health and reflection report plain statuses, not errors. */
function fromLibraryStatus(error: unknown): unknown {
  if (error instanceof Error || typeof error !== 'object' || error === null) return error;
  const { code, details } = error as { code?: unknown; details?: unknown };
  if (typeof code !== 'number' || typeof details !== 'string') return error;
  return new HotloopError(errorCodeOf(code), details);
}

function requestIdOf(metadata: Metadata): string {
  const given = headerOf(metadata, 'x-request-id');
  return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID();
}

/** Creates the call's id and logger only when something is logged: most calls log nothing. */
class LazyLog {
  readonly #parent: Log;
  readonly #method: string;
  readonly #metadata: Metadata;
  #requestId: string | undefined;
  #log: Log | undefined;

  constructor(parent: Log, method: string, metadata: Metadata) {
    this.#parent = parent;
    this.#method = method;
    this.#metadata = metadata;
  }

  get requestId(): string {
    this.#requestId ??= requestIdOf(this.#metadata);
    return this.#requestId;
  }

  get log(): Log {
    this.#log ??= this.#parent.child({ requestId: this.requestId, method: this.#method });
    return this.#log;
  }
}

class GuardedCall implements CallContext {
  readonly caller: Caller;
  readonly draining: AbortSignal;
  readonly #call: AnyCall;
  readonly #log: LazyLog;
  #controller: AbortController | undefined;

  constructor(call: AnyCall, caller: Caller, draining: AbortSignal, log: LazyLog) {
    this.caller = caller;
    this.draining = draining;
    this.#call = call;
    this.#log = log;
  }

  get requestId(): string {
    return this.#log.requestId;
  }

  get log(): Log {
    return this.#log.log;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController();
      const abort = () => controller.abort(new DOMException('the caller cancelled', 'AbortError'));
      this.#controller = controller;
      if (this.#call.cancelled) abort();
      else this.#call.on('cancelled', abort);
    }
    return this.#controller.signal;
  }

  isOver(): boolean {
    return this.#call.cancelled;
  }

  remainingMs(): number {
    const deadline = this.#call.getDeadline();
    return (deadline instanceof Date ? deadline.getTime() : deadline) - Date.now();
  }

  header(name: string): string | undefined {
    return headerOf(this.#call.metadata, name);
  }
}
