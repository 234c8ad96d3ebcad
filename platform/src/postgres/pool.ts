import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';
import type { Log } from '../log.ts';

export interface PoolOptions {
  /** Maximum number of connections. */
  readonly max: number;
  /** Time limit of every query, which also applies when the server is frozen. */
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

/** Opens connections on demand. Disposal waits until borrowed connections are returned. */
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
  // Without a listener, the death of an idle connection would end the process.
  pool.on('error', (error) => options.log.warn({ error }, 'an idle Postgres connection was lost'));
  // The pool has no listener for connections in use; their users see the loss at the next query.
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

/** Runs `fn` inside a transaction: committed when it resolves, rolled back when it throws. Errors pass through. */
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
    // A connection whose rollback failed must not be reused: it may still be inside the transaction.
    client.release(broken);
  }
}

/** SQLSTATE of a Postgres error, or empty. */
export function postgresErrorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Whether an error means that Postgres could not be reached or ended the connection, so that a retry makes sense. */
export function isPostgresAway(error: unknown): boolean {
  const code = postgresErrorCode(error);
  if (code !== '') return /^(08|53|57P|ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND)/.test(code);
  return error instanceof Error && /^(Connection terminated|timeout exceeded)/.test(error.message);
}

/**
 * The HotloopError for a failed query: UNAVAILABLE when Postgres cannot be reached, is too slow or full, otherwise
 * INTERNAL.
 */
export function fromPostgresError(error: unknown): HotloopError {
  if (error instanceof HotloopError) return error;
  // A client error without a code is a lost connection, unless it is a programming error.
  if (isMistake(error)) return toHotloopError(error);
  const code = postgresErrorCode(error);
  const isAway = code === '' || /^(08|53|57P|E[A-Z]+$)/.test(code);
  // A serialization failure or deadlock rolled the transaction back; it can be retried.
  if (code === '40001' || code === '40P01')
    return new HotloopError('ABORTED', 'others changed the same rows; try again', { cause: error });
  // Text that Postgres cannot store: NUL, or an unpaired surrogate.
  if (code === '22021' || code === '22P05')
    return new HotloopError(
      'INVALID_ARGUMENT',
      'a text contains a character that cannot be stored, such as NUL',
      {
        cause: error,
      },
    );
  return isAway
    ? new HotloopError('UNAVAILABLE', 'the store cannot be reached; try again', { cause: error })
    : new HotloopError('INTERNAL', 'the store rejected the request; the log has the details', {
        cause: error,
      });
}

function isMistake(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}
