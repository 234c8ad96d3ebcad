import { fromPostgresError, type Pool, postgresErrorCode } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TableRow, TableSchema } from './table-schema.ts';

export interface TableSummary {
  readonly name: string;
  readonly schema: TableSchema;
  /** Null before the first upload. */
  readonly version: number | null;
  readonly rows: number;
  readonly uploadedAt: string | null;
}

/** The version of a table that is read now. */
export interface LiveVersion {
  readonly version: number;
  readonly uploadedMs: number;
}

/** Number of versions that are kept in addition to the live one. */
const KEPT = 1;

/**
 * Writes and reads reference_table, reference_version and reference_row. Rejects UNAVAILABLE while Postgres cannot be
 * reached.
 */
export class TableStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Declares a table, or changes its schema for future uploads. */
  async declare(name: string, schema: TableSchema): Promise<void> {
    await this.#query(
      `INSERT INTO reference_table (name, schema) VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET schema = $2, updated_at = now()`,
      [name, JSON.stringify(schema)],
    );
  }

  async list(): Promise<TableSummary[]> {
    const rows = await this.#query(
      `SELECT t.name, t.schema, t.live_version AS version, coalesce(v.rows, 0)::float8 AS rows, v.uploaded_at
       FROM reference_table t LEFT JOIN reference_version v ON v.table_name = t.name AND v.version = t.live_version
       ORDER BY t.name`,
      [],
    );
    return rows.map((row) => ({
      name: row.name as string,
      schema: row.schema as TableSchema,
      version: row.version as number | null,
      rows: row.rows as number,
      uploadedAt: row.uploaded_at === null ? null : (row.uploaded_at as Date).toISOString(),
    }));
  }

  /** Throws NOT_FOUND. */
  async schemaOf(name: string): Promise<TableSchema> {
    const [row] = await this.#query('SELECT schema FROM reference_table WHERE name = $1', [name]);
    if (!row) throw noTable(name);
    return row.schema as TableSchema;
  }

  /** Starts an upload; its version is not yet visible to readers. */
  async begin(name: string): Promise<number> {
    const [row] = await this.#query(
      `WITH taken AS (UPDATE reference_table SET next_version = next_version + 1 WHERE name = $1
         RETURNING name, next_version - 1 AS version)
       INSERT INTO reference_version (table_name, version) SELECT name, version FROM taken RETURNING version`,
      [name],
    );
    if (!row) throw noTable(name);
    return row.version as number;
  }

  /** Adds rows; returns the positions of those whose key already existed. */
  async add(name: string, version: number, rows: readonly TableRow[]): Promise<number[]> {
    const added = await this.#query(
      `INSERT INTO reference_row (table_name, version, key, fields)
       SELECT $1, $2, given.key, given.fields FROM unnest($3::text[], $4::jsonb[]) AS given (key, fields)
       ON CONFLICT DO NOTHING RETURNING key`,
      [name, version, rows.map(({ key }) => key), rows.map(({ fields }) => JSON.stringify(fields))],
    );
    const fresh = new Set(added.map(({ key }) => key as string));
    // The first row of a key was added, so a repetition within this batch is the duplicate.
    return rows.flatMap(({ key }, at) => (fresh.delete(key) ? [] : [at]));
  }

  /** Makes a version live, in one transaction, and removes the older ones. */
  async publish(name: string, version: number, counts: { rows: number; refused: number }): Promise<void> {
    await this.#query(
      `WITH finished AS (UPDATE reference_version SET rows = $3, refused = $4, uploaded_at = now()
         WHERE table_name = $1 AND version = $2 RETURNING version)
       UPDATE reference_table SET live_version = $2, updated_at = now()
       WHERE name = $1 AND coalesce(live_version, 0) < $2 AND EXISTS (SELECT FROM finished)`,
      [name, version, counts.rows, counts.refused],
    );
    await this.#query(
      `DELETE FROM reference_version WHERE table_name = $1 AND rows IS NOT NULL AND version < $2`,
      [name, version - KEPT],
    );
  }

  async discard(name: string, version: number): Promise<void> {
    await this.#query('DELETE FROM reference_version WHERE table_name = $1 AND version = $2', [
      name,
      version,
    ]);
  }

  async liveVersions(): Promise<Map<string, LiveVersion>> {
    const rows = await this.#query(
      `SELECT t.name, t.live_version AS version, v.uploaded_at FROM reference_table t
       JOIN reference_version v ON v.table_name = t.name AND v.version = t.live_version`,
      [],
    );
    return new Map(
      rows.map((row) => [
        row.name as string,
        { version: row.version as number, uploadedMs: (row.uploaded_at as Date).getTime() },
      ]),
    );
  }

  /** The rows of some keys of one version. */
  async rows(name: string, version: number, keys: readonly string[]): Promise<TableRow[]> {
    const rows = await this.#query(
      'SELECT key, fields FROM reference_row WHERE table_name = $1 AND version = $2 AND key = ANY($3)',
      [name, version, keys],
    );
    return rows.map(({ key, fields }) => ({ key: key as string, fields: fields as TableRow['fields'] }));
  }

  async #query(sql: string, values: unknown[]): Promise<Record<string, unknown>[]> {
    try {
      return (await this.#pool.query(sql, values)).rows as Record<string, unknown>[];
    } catch (error) {
      if (postgresErrorCode(error) === '22P05')
        throw new HotloopError('INVALID_ARGUMENT', 'a text contains characters that cannot be stored', {
          cause: error,
        });
      throw fromPostgresError(error);
    }
  }
}

function noTable(name: string): HotloopError {
  return new HotloopError('NOT_FOUND', `no table ${name}; declare it first`, { reason: 'unknown_table' });
}
