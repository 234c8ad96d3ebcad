/** Why the local runner failed: the complete list of codes. */
export type LocalErrorCode =
  /** A service's process ended, or was not ready before its deadline. */
  | 'SERVICE_FAILED'
  /** A requested port is in use. */
  | 'PORT_TAKEN';

/** For the user at the terminal: says what failed, where, and what to do. Never sent to a remote caller. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
  readonly code: LocalErrorCode;

  constructor(code: LocalErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
