/** What kept a backing service from starting; the closed list a caller may branch on. */
export type BackingServiceErrorCode =
  /** Another Hotloop owns this folder. */
  | 'ALREADY_RUNNING'
  /** A program (redis-server, kcat, java ...) is neither here nor could it be fetched. */
  | 'MISSING_PROGRAM'
  /** The service's process ended or said nothing before its deadline. */
  | 'START_FAILED'
  /** Some service did not stop as asked; all the others were stopped all the same. */
  | 'STOP_FAILED';

/** For the person at the terminal: says what failed, where, and what to do. Never sent to a remote caller. */
export class BackingServiceError extends Error {
  override readonly name = 'BackingServiceError';
  readonly code: BackingServiceErrorCode;

  constructor(code: BackingServiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
