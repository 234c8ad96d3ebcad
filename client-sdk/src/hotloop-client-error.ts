/** The codes of an error: gRPC's own, without OK. */
export const CLIENT_ERROR_CODES = [
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

export type ClientErrorCode = (typeof CLIENT_ERROR_CODES)[number];

/** Additional details of an error. */
export interface ClientErrorDetails {
  /** Machine-readable cause in lower_snake_case; empty when the code is sufficient. */
  readonly reason?: string;
  /** The prediction; empty for calls without one. */
  readonly predictionId?: string;
  /** For a temporary rejection: milliseconds after which a retry makes sense. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * The only error type that this package throws. `message` can be shown to users; `code` and `reason` are for
 * programs.
 */
export class HotloopClientError extends Error {
  readonly code: ClientErrorCode;
  readonly reason: string;
  readonly predictionId: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: ClientErrorCode, message: string, details: ClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HotloopClientError';
    this.code = code;
    this.reason = details.reason ?? '';
    this.predictionId = details.predictionId ?? '';
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The name of a gRPC status number; UNKNOWN for 0 and for numbers that gRPC does not define. */
export function clientErrorCode(status: number): ClientErrorCode {
  return CLIENT_ERROR_CODES[status - 1] ?? 'UNKNOWN';
}

/** The same error with the prediction id. */
export function aboutPrediction(error: unknown, predictionId: string): HotloopClientError {
  const known = toClientError(error);
  if (known.predictionId !== '') return known;
  return new HotloopClientError(known.code, known.message, {
    reason: known.reason,
    predictionId,
    ...retryAfter(known.retryAfterMs),
    cause: known.cause,
  });
}

/** In the form of an error's details. */
export const retryAfter = (retryAfterMs: number | undefined): { retryAfterMs?: number } =>
  retryAfterMs !== undefined && retryAfterMs > 0 ? { retryAfterMs } : {};

/** gRPC's own trailer with the milliseconds after which a retry makes sense. */
const RETRY_TRAILER = 'grpc-retry-pushback-ms';

/** The trailer in which services send the reason of a failed call. */
const REASON_TRAILER = 'hotloop-reason';

/** Converts any thrown value to a HotloopClientError; a gRPC status keeps its code and details. */
export function toClientError(error: unknown): HotloopClientError {
  if (error instanceof HotloopClientError) return error;
  if (isServiceError(error)) {
    const [reason] = error.metadata?.get(REASON_TRAILER) ?? [];
    return new HotloopClientError(clientErrorCode(error.code), messageOf(error.details), {
      ...(reason === undefined ? {} : { reason: String(reason) }),
      ...retryAfter(Number(error.metadata?.get(RETRY_TRAILER)[0])),
      cause: error,
    });
  }
  if (error instanceof Error && error.name === 'TimeoutError')
    return new HotloopClientError('DEADLINE_EXCEEDED', 'the deadline passed', { cause: error });
  if (error instanceof Error && error.name === 'AbortError')
    return new HotloopClientError('CANCELLED', 'the call was cancelled', { cause: error });
  return new HotloopClientError('UNKNOWN', error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

/** gRPC tells of each attempt to connect and of its load balancing; a reader needs the address. */
function messageOf(details: string): string {
  if (!/\bNo connection established\b/.test(details)) return details;
  const [, address] = /\bconnect E[A-Z]+ (\S+:\d+)/.exec(details) ?? [];
  return address === undefined ? 'nothing answers' : `nothing answers at ${address}`;
}

interface StatusLike {
  readonly code: number;
  readonly details: string;
  readonly metadata?: { get(key: string): readonly (string | Uint8Array)[] };
}

function isServiceError(error: unknown): error is StatusLike {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error &&
    typeof error.details === 'string'
  );
}
