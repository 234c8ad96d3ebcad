import type { ServiceDefinition } from '@grpc/grpc-js';
import { UnreadableRequest } from './unreadable-request.ts';

/** The first byte of a message whose first field is number 1, a text. */
const FIRST_FIELD = 0x0a;

interface NamesModel {
  readonly model: string;
}

/**
 * A request of which only the model's name has been decoded, so that an overloaded service can refuse it at almost no
 * cost. Its size was checked before, as for every message.
 */
export interface LateRequest<Request extends NamesModel> {
  /** The first model that the bytes name. Where a sender repeats the field, `read` gives the one that counts. */
  readonly model: string;
  /** Decodes the rest. Throws INVALID_ARGUMENT for bytes that are not a request. */
  read(): Request;
}

type Decode<Request> = (bytes: Buffer) => Request | UnreadableRequest;

/**
 * The definition with methods (`names`) whose handlers get a `LateRequest`; the model's name is field 1 of their
 * request. Other methods are unchanged.
 */
export function decodingLate(definition: ServiceDefinition, names: readonly string[]): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => {
      if (!names.includes(name)) return [name, method];
      const decode = method.requestDeserialize as Decode<NamesModel>;
      return [name, { ...method, requestDeserialize: (bytes: Buffer) => lateRequest(bytes, decode) }];
    }),
  );
}

/** A request whose model does not come first is decoded at once, as it always would be. */
export function lateRequest<Request extends NamesModel>(
  bytes: Buffer,
  decode: Decode<Request>,
): LateRequest<Request> | UnreadableRequest {
  const model = firstText(bytes);
  if (model !== undefined) return { model, read: () => readable(decode(bytes)) };
  const request = decode(bytes);
  return request instanceof UnreadableRequest ? request : { model: request.model, read: () => request };
}

function readable<Request>(request: Request | UnreadableRequest): Request {
  if (request instanceof UnreadableRequest) throw request.refusal();
  return request;
}

/** The text with which a message begins, as its field 1; undefined when it begins otherwise. */
function firstText(bytes: Buffer): string | undefined {
  if (bytes[0] !== FIRST_FIELD) return undefined;
  let length = 0;
  for (let at = 1; at < 5; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    length |= (byte & 0x7f) << (7 * (at - 1));
    if (byte >= 0x80) continue;
    const end = at + 1 + length;
    return end > bytes.length ? undefined : bytes.toString('utf8', at + 1, end);
  }
  return undefined;
}
