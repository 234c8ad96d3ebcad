import type { SqlError } from '../sql-error.ts';

/** An error that is told to the client as it is. */
export class WireError extends Error {
  readonly error: SqlError;

  constructor(error: SqlError) {
    super(error.message);
    this.error = error;
  }
}
