import { type ClientErrorCode, toClientError } from '@hotloop/client/hotloop-client-error.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/** A mistake in how the command was typed or in a file it names; the message says what to change. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/**
 * What scripts may branch on. 2: typed wrongly. 3: not found. 4: refused input. 5: nothing answers, or too late.
 * 6: not allowed. 7: the service refused for its own state (gate, conflict). 130: Ctrl-C. 1: everything else.
 */
const EXIT_CODES: Readonly<Record<ClientErrorCode, number>> = {
  CANCELLED: 130,
  UNKNOWN: 1,
  INVALID_ARGUMENT: 4,
  DEADLINE_EXCEEDED: 5,
  NOT_FOUND: 3,
  ALREADY_EXISTS: 7,
  PERMISSION_DENIED: 6,
  RESOURCE_EXHAUSTED: 5,
  FAILED_PRECONDITION: 7,
  ABORTED: 7,
  OUT_OF_RANGE: 4,
  UNIMPLEMENTED: 1,
  INTERNAL: 1,
  UNAVAILABLE: 5,
  DATA_LOSS: 1,
  UNAUTHENTICATED: 6,
};

/** What a failed command tells its caller. */
export interface CommandFailure {
  readonly exitCode: number;
  readonly code: string;
  readonly message: string;
  /** What to try next; empty when the message says it. */
  readonly advice: string;
}

/** Any thrown thing as a person and a script shall see it: no stack, no internals. */
export function commandFailure(error: unknown): CommandFailure {
  if (error instanceof CommandError)
    return { exitCode: 2, code: 'USAGE', message: error.message, advice: '' };
  // Commands that work on the stores directly fail with the errors of the services themselves.
  const known = error instanceof HotloopError ? error : toClientError(error);
  const advice =
    known.code === 'UNAVAILABLE'
      ? 'is Hotloop running? `hotloop up` starts it; --address names another'
      : known.message.includes('DATABASE_URL is not set')
        ? '--dir FOLDER names the folder of a running `hotloop up`; elsewhere the environment says where the stores are'
        : '';
  return { exitCode: EXIT_CODES[known.code], code: known.code, message: known.message, advice };
}
