import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * Represents bytes that cannot be decoded. When its decoder throws, grpc-js answers INTERNAL, as if the fault were
 * ours, before the caller is authorized; an UnreadableRequest is rejected where all other requests are.
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

/** The definition with methods that decode invalid bytes to an UnreadableRequest. */
export function markingUnreadable(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [name, markingMethod(method)]),
  );
}

function markingMethod<Method extends MethodDefinition<unknown, unknown>>(method: Method): Method {
  const decode = method.requestDeserialize;
  // A field that the proto loader adds to a method and that grpc-js' type does not declare.
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
