import type { Metadata } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Caller } from '../auth/authorization.ts';
import type { Log } from '../log.ts';

/** What a handler knows about the call it serves. */
export interface CallContext {
  readonly caller: Caller;
  /** The caller's `x-request-id`, or a generated id; it is on every log line of the call. */
  readonly requestId: string;
  /** Fires when the caller cancels or disconnects, the deadline passes, or the server is cut off. */
  readonly signal: AbortSignal;
  /** Fires when the server begins to drain: long-lived calls should end then. */
  readonly draining: AbortSignal;
  /** Cheaper than the signal: true when the caller has cancelled or was cut off. */
  isOver(): boolean;
  /** Milliseconds left; Infinity without a deadline. */
  remainingMs(): number;
  header(name: string): string | undefined;
  readonly log: Log;
}

const CONTEXT = Symbol('hotloop call context');

/** Attaches the context for the handler of the call. */
export function attachContext(call: object, context: CallContext): void {
  Object.defineProperty(call, CONTEXT, { value: context });
}

/** The context that the server attached. */
export function contextOf(call: object): CallContext {
  const context = (call as { [CONTEXT]?: CallContext })[CONTEXT];
  if (!context) throw new HotloopError('INTERNAL', 'the handler was not called through startGrpcServer');
  return context;
}

/** A text header of gRPC metadata. */
export function headerOf(metadata: Metadata, name: string): string | undefined {
  const value = metadata.get(name)[0];
  return typeof value === 'string' ? value : undefined;
}
