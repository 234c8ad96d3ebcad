import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
} from '@grpc/grpc-js';
import { type CallContext, contextOf } from './call-context.ts';
import { toLoggedStatus } from './logged-status.ts';
import { UnreadableRequest } from './unreadable-request.ts';

/** A unary method from an async function; its error becomes the call's status. */
export function unary<Request, Reply>(
  handle: (request: Request, context: CallContext) => Promise<Reply>,
): handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    const context = contextOf(call);
    settle(() => handle(call.request, context), callback);
  };
}

/** A client stream from an async function over the messages. If it does not read all messages, the call is cut off. */
export function clientStream<Request, Reply>(
  handle: (requests: AsyncIterable<Request>, context: CallContext) => Promise<Reply>,
): handleClientStreamingCall<Request, Reply> {
  return (call, callback) => {
    const context = contextOf(call);
    settle(() => handle(readable(call), context), callback);
  };
}

/** A server stream from an async generator; the next message is requested only when the client has room for it. */
export function serverStream<Request, Reply>(
  handle: (request: Request, context: CallContext) => AsyncIterable<Reply>,
): handleServerStreamingCall<Request, Reply> {
  return (call) => {
    const context = contextOf(call);
    void writeAll(call, () => handle(call.request, context), context);
  };
}

/**
 * A bidirectional stream from an async generator over the messages. The client is read only as fast as answers are
 * produced and consumed.
 */
export function bidiStream<Request, Reply>(
  handle: (requests: AsyncIterable<Request>, context: CallContext) => AsyncIterable<Reply>,
): handleBidiStreamingCall<Request, Reply> {
  return (call) => {
    const context = contextOf(call);
    void writeAll(call, () => handle(readable(call), context), context);
  };
}

async function* readable<Request>(
  messages: AsyncIterable<Request | UnreadableRequest>,
): AsyncGenerator<Request> {
  for await (const message of messages) {
    if (message instanceof UnreadableRequest) throw message.refusal();
    yield message;
  }
}

type UnaryCallback<Reply> = Parameters<handleUnaryCall<unknown, Reply>>[1];

function settle<Reply>(handle: () => Promise<Reply>, callback: UnaryCallback<Reply>): void {
  // The guard around every handler turns the error into a status; a status made here would look like an unknown error
  // there.
  const fail = callback as (error: unknown) => void;
  try {
    handle().then((reply) => callback(null, reply), fail);
  } catch (error) {
    fail(error);
  }
}

/** The writing side of a server stream. */
interface Writable<Reply> {
  write(reply: Reply): boolean;
  end(): void;
  once(event: 'drain', listener: () => void): unknown;
  off(event: 'drain', listener: () => void): unknown;
  emit(event: 'error', error: unknown): boolean;
}

async function writeAll<Reply>(
  call: Writable<Reply>,
  handle: () => AsyncIterable<Reply>,
  context: CallContext,
): Promise<void> {
  try {
    for await (const reply of handle()) {
      if (context.signal.aborted) return;
      if (!call.write(reply)) await writable(call, context.signal);
    }
    call.end();
  } catch (error) {
    if (context.signal.aborted) return;
    call.emit('error', toLoggedStatus(error, context));
  }
}

/** Waits until the client has room again, or has disconnected. */
function writable<Reply>(call: Writable<Reply>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    call.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
