/** Why the local runner could not do what it was asked; the closed list a caller may branch on. */
export type LocalErrorCode =
  /** A service's process ended or said nothing before its deadline. */
  | 'SERVICE_FAILED'
  /** A fixed port that was asked for is taken. */
  | 'PORT_TAKEN';

/** For the person at the terminal: says what failed, where, and what to do. Never sent to a remote caller. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
  readonly code: LocalErrorCode;

  constructor(code: LocalErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
