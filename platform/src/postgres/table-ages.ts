import type { Queryable } from './pool.ts';

/** When a reference table was uploaded. Milliseconds since 1970. */
export interface TableAge {
  readonly table: string;
  readonly uploadedAt: number;
  /** The previous upload; null when there was none, or it was deleted. */
  readonly previousAt: number | null;
}

/** Upload times of the given tables, if uploaded. Reads rows that the preprocessor's table store writes. */
export async function readTableAges(database: Queryable, tables: readonly string[]): Promise<TableAge[]> {
  if (tables.length === 0) return [];
  const { rows } = await database.query<{ name: string; uploaded_ms: string; previous_ms: string | null }>(
    `SELECT one.name, extract(epoch FROM live.uploaded_at) * 1000 AS uploaded_ms,
       (SELECT extract(epoch FROM max(before.uploaded_at)) * 1000 FROM reference_version before
        WHERE before.table_name = one.name AND before.version < one.live_version AND before.rows IS NOT NULL) AS previous_ms
     FROM reference_table one
     JOIN reference_version live ON live.table_name = one.name AND live.version = one.live_version
     WHERE one.name = ANY($1)`,
    [tables],
  );
  return rows.map((row) => ({
    table: row.name,
    uploadedAt: Number(row.uploaded_ms),
    previousAt: row.previous_ms === null ? null : Number(row.previous_ms),
  }));
}
