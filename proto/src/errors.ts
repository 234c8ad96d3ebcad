/** The codes of an error: gRPC's own, without OK. */
export const ERROR_CODES = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

const NAME_OF = new Map<number, ErrorCode>(
  Object.entries(ERROR_CODES).map(([name, number]) => [number, name as ErrorCode]),
);

/** The name of a gRPC status number; UNKNOWN for one that gRPC does not define. */
export function errorCodeOf(status: number): ErrorCode {
  return NAME_OF.get(status) ?? 'UNKNOWN';
}

export interface ErrorDetails {
  /** Machine-readable, lower_snake_case, such as nonfinite_output. */
  readonly reason?: string;
  /** Only for the log; never reaches a caller. */
  readonly cause?: unknown;
  /** For a temporary rejection: milliseconds after which a retry makes sense. */
  readonly retryAfterMs?: number;
}

/**
 * The only error type of the domain. `message` is written for the caller: what was wrong, where, what to do; it
 * contains no path, host, SQL or stack trace. `cause` is for the log.
 */
export class HotloopError extends Error {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'HotloopError';
    this.code = code;
    this.reason = details.reason ?? '';
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The message of every unexpected error. */
export const INTERNAL_MESSAGE = 'internal error; the log has the details under the request id';

/** What a caller may see of any thrown value: a HotloopError unchanged, everything else INTERNAL with a fixed text. */
export function toHotloopError(error: unknown): HotloopError {
  if (error instanceof HotloopError) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new HotloopError('CANCELLED', 'the call was cancelled', { cause: error });
  if (error instanceof Error && error.name === 'TimeoutError')
    return new HotloopError('DEADLINE_EXCEEDED', 'the deadline passed', { cause: error });
  return new HotloopError('INTERNAL', INTERNAL_MESSAGE, { cause: error });
}
