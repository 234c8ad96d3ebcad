import type { CallOptions, ClientWritableStream, Metadata, ServiceError } from '@grpc/grpc-js';
import type { CallContext, CallPatience } from './call-context.ts';
import { callMetadata } from './channel.ts';
import { deferred } from './deferred.ts';
import { HotloopClientError, toClientError } from './hotloop-client-error.ts';

/** Starts a client stream of a stub. */
export type StartUpload<Message, Reply> = (
  metadata: Metadata,
  options: CallOptions,
  done: (error: ServiceError | null, reply?: Reply) => void,
) => ClientWritableStream<Message>;

/**
 * Sends messages as fast as the service accepts them and resolves with its answer; an early answer ends the sending.
 * Rejects with HotloopClientError.
 */
export async function upload<Message, Reply>(
  context: CallContext,
  start: StartUpload<Message, Reply>,
  messages: Iterable<Message> | AsyncIterable<Message>,
  patience: CallPatience & { readonly timeoutMs: number },
): Promise<Reply> {
  const answer = deferred<Reply>();
  answer.promise.catch(() => undefined);
  const options = { deadline: Date.now() + patience.timeoutMs };
  const call = start(callMetadata(context.options), options, (error, reply) => {
    if (reply) answer.resolve(reply);
    else answer.reject(error ?? new HotloopClientError('INTERNAL', 'the service returned no answer'));
  });
  // The callback carries the failure; a write after it only reports that the call has ended.
  call.on('error', () => undefined);
  const cancel = () => call.cancel();
  patience.signal?.addEventListener('abort', cancel, { once: true });
  if (patience.signal?.aborted) cancel();
  const over = answer.promise.then(
    () => true,
    () => true,
  );
  try {
    for await (const message of messages) {
      if (call.write(message)) continue;
      const drained = new Promise<boolean>((resolve) => call.once('drain', () => resolve(false)));
      if (await Promise.race([over, drained])) break;
    }
    call.end();
    return await answer.promise;
  } catch (error) {
    call.cancel();
    throw toClientError(error);
  } finally {
    patience.signal?.removeEventListener('abort', cancel);
  }
}
