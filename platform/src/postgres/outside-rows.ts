import { HotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';

/**
 * Position of a reader of a growing table: watermark and id of the last row that it read, both as the server writes
 * them.
 */
export interface OutsidePosition {
  readonly watermark: string;
  readonly id: string;
}

export interface OutsideRow extends OutsidePosition {
  /** Every column as JSON: times as ISO 8601, numbers as numbers. */
  readonly cells: Readonly<Record<string, unknown>>;
}

export interface OutsideQuery {
  readonly query: string;
  /** The growing column: a time or a number. */
  readonly watermark: string;
  /** The column that identifies a row. */
  readonly id: string;
  /** Rows whose watermark is at most this far below the position are read again; only for times. */
  readonly overlapMs: number;
}

/** A database of the user, read only. Errors contain neither its address nor its message about the login. */
export interface OutsideDatabase extends AsyncDisposable {
  /**
   * The next rows, ordered by watermark and id. @param after null: from the start; with `again` the overlap is read
   * again. Throws INVALID_ARGUMENT with the server's message about the query.
   */
  read(
    query: OutsideQuery,
    after: OutsidePosition | null,
    again: boolean,
    limit: number,
  ): Promise<OutsideRow[]>;
}

const CONNECT_MS = 10_000;
const QUERY_MS = 60_000;

/** By Postgres' type number. */
const TIMES: Readonly<Record<number, string>> = { 1184: 'timestamptz', 1114: 'timestamp', 1082: 'date' };
const NUMBERS: Readonly<Record<number, string>> = {
  20: 'bigint',
  21: 'bigint',
  23: 'bigint',
  1700: 'numeric',
};

/** Connects. Throws UNAVAILABLE; the message does not contain the address, which may contain a password. */
export async function openOutside(url: string): Promise<OutsideDatabase> {
  const client = await connect(url);
  return {
    async read({ query, watermark, id, overlapMs }, after, again, limit) {
      const select = query.trim().replace(/;\s*$/, '');
      const column = client.escapeIdentifier(watermark);
      const name = `${client.escapeIdentifier(id)}::text COLLATE "C"`;
      const { fields } = await said(() =>
        client.query(`SELECT ${column} FROM (${select}) outcome_rows LIMIT 0`),
      );
      const oid = fields[0]?.dataTypeID ?? 0;
      const type = TIMES[oid] ?? NUMBERS[oid];
      if (type === undefined)
        throw new HotloopError(
          'INVALID_ARGUMENT',
          `the watermark ${watermark} must be a time or a whole number`,
          {
            reason: 'source_query',
          },
        );
      const values: string[] = after === null ? [] : again ? [after.watermark] : [after.watermark, after.id];
      const floor = oid in TIMES ? `$1::${type} - interval '${Number(overlapMs)} ms'` : `$1::${type}`;
      const beyond =
        after === null
          ? ''
          : again
            ? `AND ${column} >= ${floor}`
            : `AND (${column}, ${name}) > ($1::${type}, $2)`;
      const { rows } = await said(() =>
        client.query<{ watermark: string; id: string | null; cells: Record<string, unknown> }>(
          `SELECT ${column}::text AS watermark, ${name} AS id, to_jsonb(outcome_rows) AS cells FROM (${select}) outcome_rows
           WHERE ${column} IS NOT NULL ${beyond} ORDER BY ${column}, ${name} LIMIT ${Number(limit)}`,
          values,
        ),
      );
      const nameless = rows.find((row) => row.id === null);
      if (nameless)
        throw new HotloopError('INVALID_ARGUMENT', `a row has no ${id}; every row needs one to count once`, {
          reason: 'source_query',
        });
      return rows as OutsideRow[];
    },
    [Symbol.asyncDispose]: () => client.end().catch(() => undefined),
  };
}

async function connect(url: string): Promise<pg.Client> {
  try {
    const client = new pg.Client({
      connectionString: url,
      application_name: 'hotloop-outcomes',
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: QUERY_MS,
      statement_timeout: QUERY_MS,
      options: '-c default_transaction_read_only=on -c TimeZone=UTC -c DateStyle=ISO',
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  } catch (error) {
    const refused = error instanceof pg.DatabaseError ? ` (it rejected the login: ${error.code})` : '';
    // No cause, because the client's message may contain parts of the address.
    throw new HotloopError('UNAVAILABLE', `the database of the outcomes cannot be reached${refused}`, {
      reason: 'source_away',
    });
  }
}

async function said<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof pg.DatabaseError)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `the query of the outcomes failed: ${error.message} (${error.code})`,
        {
          reason: 'source_query',
        },
      );
    throw new HotloopError('UNAVAILABLE', 'the connection to the database of the outcomes was lost', {
      reason: 'source_away',
    });
  }
}
