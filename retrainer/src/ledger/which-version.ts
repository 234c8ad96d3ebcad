import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { type LedgerRow, ledgerRowOf, type StoredRow } from './ledger.ts';

/** The change that made the version live that was live at a moment; null when none was yet. */
export async function whichVersion(
  database: Queryable,
  model: string,
  at: number,
): Promise<LedgerRow | null> {
  try {
    const { rows } = await database.query<StoredRow>(
      `SELECT * FROM ledger WHERE model = $1 AND action IN ('promote', 'rollback') AND at <= to_timestamp($2 / 1000.0)
       ORDER BY sequence DESC LIMIT 1`,
      [model, at],
    );
    return rows[0] ? ledgerRowOf(rows[0]) : null;
  } catch (error) {
    throw fromPostgresError(error);
  }
}
