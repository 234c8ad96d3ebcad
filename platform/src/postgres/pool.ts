import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';
import type { Log } from '../log.ts';

export interface PoolOptions {
  /** Connections at most. */
  readonly max: number;
  /** Every query ends by then, also when the server is frozen. */
  readonly queryTimeoutMs: number;
  /** How long a query may wait for a connection; default 2000. */
  readonly connectTimeoutMs?: number;
  /** Shown by pg_stat_activity. */
  readonly application: string;
  readonly log: Log;
}

export type Pool = pg.Pool & AsyncDisposable;
export type PoolClient = pg.PoolClient;
/** A pool, or a client inside a transaction. */
export type Queryable = Pick<pg.ClientBase, 'query'>;

/** Opens no connection by itself. Disposal waits for borrowed connections to come back. */
export function openPool(url: string, options: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    query_timeout: options.queryTimeoutMs,
    statement_timeout: options.queryTimeoutMs,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 2000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: options.application,
    keepAlive: true,
  });
  // Without a listener an idle connection that dies would end the process.
  pool.on('error', (error) => options.log.warn({ error }, 'an idle Postgres connection was lost'));
  // The pool does not listen either while a connection is in use; its user learns of the loss from the next query.
  pool.on('connect', (client) =>
    client.on('error', (error) => options.log.debug({ error }, 'a Postgres connection was lost')),
  );
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() });
}

export interface TransactionOptions {
  /** Runs the function once more when Postgres reports a serialization failure or deadlock. Default false. */
  readonly retrySerialization?: boolean;
  readonly isolation?: 'read committed' | 'repeatable read' | 'serializable';
}

const RETRIABLE = new Set(['40001', '40P01']);

/** Runs `fn` inside one transaction: committed when it resolves, rolled back when it throws. Errors pass through. */
export async function transaction<T>(
  pool: pg.Pool,
  fn: (client: PoolClient) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  try {
    return await runOnce(pool, fn, options);
  } catch (error) {
    if (!options.retrySerialization || !RETRIABLE.has(postgresErrorCode(error))) throw error;
    return runOnce(pool, fn, options);
  }
}

async function runOnce<T>(
  pool: pg.Pool,
  fn: (client: PoolClient) => Promise<T>,
  options: TransactionOptions,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query(`BEGIN ISOLATION LEVEL ${(options.isolation ?? 'read committed').toUpperCase()}`);
    const result = await fn(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((cause: unknown) => {
      broken = cause instanceof Error ? cause : new Error(String(cause));
    });
    throw error;
  } finally {
    // A connection whose rollback failed must not be lent again: it may still be inside the transaction.
    client.release(broken);
  }
}

/** SQLSTATE of a Postgres error, or empty. */
export function postgresErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** The domain's error for a failed query: UNAVAILABLE when Postgres is away, late or full, otherwise INTERNAL. */
export function fromPostgresError(error: unknown): HotloopError {
  if (error instanceof HotloopError) return error;
  // An error of the client without a code is a lost connection; a mistake of the code around it is not.
  if (isMistake(error)) return toHotloopError(error);
  const code = postgresErrorCode(error);
  const isAway = code === '' || /^(08|53|57P|E[A-Z]+$)/.test(code);
  // A serialization failure or a deadlock undid the transaction; nothing is wrong with it.
  if (code === '40001' || code === '40P01')
    return new HotloopError('ABORTED', 'others changed the same rows; try again', { cause: error });
  // Text that Postgres cannot hold: NUL, or half a surrogate pair.
  if (code === '22021' || code === '22P05')
    return new HotloopError(
      'INVALID_ARGUMENT',
      'a text holds a character that cannot be stored, such as NUL',
      {
        cause: error,
      },
    );
  return isAway
    ? new HotloopError('UNAVAILABLE', 'the store cannot be reached; try again', { cause: error })
    : new HotloopError('INTERNAL', 'the store refused; the log holds the details', { cause: error });
}

function isMistake(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
