import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js';
import { ERROR_CODES, errorCodeOf, HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';

/** The trailer that carries HotloopError.reason. */
export const REASON_TRAILER = 'hotloop-reason';
/** gRPC's own trailer for it, which its clients' retry policies respect. */
export const RETRY_TRAILER = 'grpc-retry-pushback-ms';

/** hotloop.v1.Failure as the generated code represents it. */
export interface FailureMessage {
  readonly code?: number;
  readonly message?: string;
  readonly reason?: string;
  readonly retryAfterMs?: number;
}

/** The status that a caller sees; every unexpected error is INTERNAL with a fixed text. */
export function toStatus(error: unknown): StatusObject {
  const known = toHotloopError(error);
  const metadata = new Metadata();
  if (known.reason !== '') metadata.set(REASON_TRAILER, known.reason);
  if (known.retryAfterMs !== undefined) metadata.set(RETRY_TRAILER, String(known.retryAfterMs));
  return { code: ERROR_CODES[known.code], details: known.message, metadata };
}

/** The HotloopError for the error of a gRPC call. */
export function fromStatus(error: unknown): HotloopError {
  if (error instanceof HotloopError) return error;
  if (!isServiceError(error)) return toHotloopError(error);
  const reason = error.metadata?.get(REASON_TRAILER)[0];
  const code = errorCodeOf(error.code);
  // The library's message for a lost connection contains addresses, which no caller may see.
  const own = reason === undefined && code === 'UNAVAILABLE';
  const message = own ? 'the service cannot be reached; try again' : error.details;
  const retryAfterMs = Number(error.metadata?.get(RETRY_TRAILER)[0]);
  return new HotloopError(code, message, {
    cause: error,
    ...(reason === undefined ? {} : { reason: String(reason) }),
    ...(retryAfterMs > 0 ? { retryAfterMs } : {}),
  });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

/** hotloop.v1.Failure for any thrown value. */
export function toFailure(error: unknown): Required<FailureMessage> {
  const { code, message, reason, retryAfterMs = 0 } = toHotloopError(error);
  return { code: ERROR_CODES[code], message, reason, retryAfterMs };
}

export function fromFailure(failure: FailureMessage): HotloopError {
  return new HotloopError(errorCodeOf(failure.code ?? status.UNKNOWN), failure.message ?? '', {
    reason: failure.reason ?? '',
    ...(failure.retryAfterMs ? { retryAfterMs: failure.retryAfterMs } : {}),
  });
}
