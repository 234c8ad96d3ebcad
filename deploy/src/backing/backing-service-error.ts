/** Why a backing service could not start: the complete list of codes. */
export type BackingServiceErrorCode =
  /** Another Hotloop uses this folder. */
  | 'ALREADY_RUNNING'
  /** A program (redis-server, kcat, java ...) is not installed and could not be downloaded. */
  | 'MISSING_PROGRAM'
  /** The service's process ended, or was not ready before its deadline. */
  | 'START_FAILED'
  /** A service did not stop when asked; all others were stopped. */
  | 'STOP_FAILED';

/** For the user at the terminal: says what failed, where, and what to do. Never sent to a remote caller. */
export class BackingServiceError extends Error {
  override readonly name = 'BackingServiceError';
  readonly code: BackingServiceErrorCode;

  constructor(code: BackingServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
