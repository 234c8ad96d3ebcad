import type { SqlError } from '../sql-error.ts';

/** An error that is sent to the client unchanged. */
export class WireError extends Error {
  readonly error: SqlError;

  constructor(error: SqlError) {
    super(error.message);
    this.error = error;
  }
}
