import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * Represents bytes that are no such message. The library answers INTERNAL when its decoder throws, as if the fault were ours,
 * before it asks who calls; this is refused where any other request is.
 */
export class UnreadableRequest {
  readonly #messageName: string;

  constructor(messageName: string) {
    this.#messageName = messageName;
  }

  refusal(): HotloopError {
    return new HotloopError('INVALID_ARGUMENT', `the request cannot be read as a ${this.#messageName}`, {
      reason: 'malformed_request',
    });
  }
}

/** The definition, whose methods give an UnreadableRequest for bytes that are no request of theirs. */
export function markingUnreadable(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [name, markingMethod(method)]),
  );
}

function markingMethod<Method extends MethodDefinition<unknown, unknown>>(method: Method): Method {
  const decode = method.requestDeserialize;
  // What the loader of contracts adds to a method, and the library's type does not know.
  const { requestType } = method as { requestType?: { type?: { name?: string } } };
  const unreadable = new UnreadableRequest(requestType?.type?.name ?? 'message of this method');
  return {
    ...method,
    requestDeserialize(bytes: Buffer) {
      try {
        return decode(bytes);
      } catch {
        return unreadable;
      }
    },
  };
}
