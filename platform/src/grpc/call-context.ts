import type { Metadata } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Caller } from '../auth/authorization.ts';
import type { Log } from '../log.ts';

/** What a handler knows of the call it serves. */
export interface CallContext {
  readonly caller: Caller;
  /** From the caller's `x-request-id`, or made here; it is on every log line of the call. */
  readonly requestId: string;
  /** Fires when the caller has gone, the deadline has passed, or the server is cut off. */
  readonly signal: AbortSignal;
  /** Fires when the server begins to drain: long-lived calls should come to their end. */
  readonly draining: AbortSignal;
  /** Cheaper than the signal: true when the caller has gone, or was cut off. */
  isOver(): boolean;
  /** Milliseconds left; Infinity without a deadline. */
  remainingMs(): number;
  header(name: string): string | undefined;
  readonly log: Log;
}

const CONTEXT = Symbol('hotloop call context');

/** Makes the context readable by the handler that gets the call. */
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
