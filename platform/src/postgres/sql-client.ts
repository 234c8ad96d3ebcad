import { HotloopError } from '@hotloop/proto/errors.ts';
import pg from 'pg';

export interface SqlAnswer {
  readonly command: string;
  readonly columns: readonly string[];
  /** Each value as the server wrote it; null is NULL. */
  readonly rows: readonly (readonly (string | null)[])[];
}

/** One connection to a server of the Postgres protocol, for interactive use. */
export interface SqlClient extends AsyncDisposable {
  /** Runs one or more statements. Throws INVALID_ARGUMENT with the server's message and position. */
  query(sql: string): Promise<SqlAnswer[]>;
}

/** Connects. Throws UNAVAILABLE or UNAUTHENTICATED; neither contains the address, which may contain a password. */
export async function connectSql(url: string): Promise<SqlClient> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'hotloop sql',
    types: { getTypeParser: () => (value: unknown) => value },
  });
  client.on('error', () => undefined);
  await client.connect().catch((cause: unknown) => {
    if (cause instanceof pg.DatabaseError)
      throw new HotloopError('UNAUTHENTICATED', cause.message, { cause });
    if (/password must be a string/.test(String(cause)))
      throw new HotloopError('UNAUTHENTICATED', 'the server asks for a password, and the address has none', {
        cause,
      });
    throw new HotloopError('UNAVAILABLE', 'no SQL server answers at this address', { cause });
  });
  return {
    async query(sql) {
      const answer: unknown = await client.query({ text: sql, rowMode: 'array' }).catch((cause: unknown) => {
        if (!(cause instanceof pg.DatabaseError))
          throw new HotloopError('UNAVAILABLE', 'the connection was lost', { cause });
        const at = cause.position === undefined ? '' : ` at character ${cause.position}`;
        throw new HotloopError('INVALID_ARGUMENT', `${cause.message} (${cause.code}${at})`, { cause });
      });
      const answers = (Array.isArray(answer) ? answer : [answer]) as pg.QueryArrayResult<(string | null)[]>[];
      return answers.map(({ command, fields, rows }) => ({
        command,
        columns: fields.map(({ name }) => name),
        rows,
      }));
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}
