import { randomUUID } from 'node:crypto';
import { type SearchSpec, searchSchema } from '@hotloop/model/manifest/search-schema.ts';
import { fromPostgresError, type Pool, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

export type SearchState = 'searching' | 'judging' | 'ended';

export interface Search {
  readonly searchId: string;
  readonly model: string;
  readonly spec: SearchSpec;
  readonly seed: number;
  readonly state: SearchState;
  readonly message: string;
  readonly createdAt: string;
  readonly endedAt: string | null;
}

interface SearchRow extends Omit<Search, 'createdAt' | 'endedAt' | 'seed'> {
  readonly seed: string;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
}

const COLUMNS = `search_id AS "searchId", model, spec, seed, state, message, created_at AS "createdAt", ended_at AS "endedAt"`;

const searchOf = (row: SearchRow): Search => ({
  ...row,
  spec: searchSchema.parse(row.spec),
  seed: Number(row.seed),
  createdAt: row.createdAt.toISOString(),
  endedAt: row.endedAt?.toISOString() ?? null,
});

async function select(database: Queryable, where: string, values: unknown[]): Promise<Search[]> {
  const { rows } = await database
    .query<SearchRow>(
      `SELECT ${COLUMNS} FROM search WHERE ${where} ORDER BY created_at DESC LIMIT 100`,
      values,
    )
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows.map(searchOf);
}

export async function createSearch(
  pool: Pool,
  model: string,
  spec: SearchSpec,
  seed: number,
): Promise<Search> {
  const searchId = randomUUID();
  await pool.query('INSERT INTO search (search_id, model, spec, seed) VALUES ($1, $2, $3, $4)', [
    ...[searchId, model, JSON.stringify(spec), seed],
  ]);
  return findSearch(pool, searchId);
}

/** Throws NOT_FOUND. */
export async function findSearch(database: Queryable, searchId: string): Promise<Search> {
  const [found] = await select(database, 'search_id = $1', [searchId]);
  if (!found) throw new HotloopError('NOT_FOUND', `there is no search ${searchId}`);
  return found;
}

export function openSearches(database: Queryable): Promise<Search[]> {
  return select(database, 'ended_at IS NULL', []);
}

/** Updates a search; one that has ended is not changed. */
export async function moveSearch(
  pool: Pool,
  searchId: string,
  state: SearchState,
  message: string,
): Promise<void> {
  await pool.query(
    `UPDATE search SET state = $2, message = $3, ended_at = CASE WHEN $2 = 'ended' THEN now() END
     WHERE search_id = $1 AND ended_at IS NULL`,
    [searchId, state, message],
  );
}
