import type { ModelOf } from '@hotloop/platform/http/http-server.ts';
import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';

/** Where a thing that a path names by an id says which model it is of: parameter -> table and key. */
const PLACES: Readonly<Record<string, readonly [table: string, key: string]>> = {
  rollout: ['rollout', 'rollout_id'],
  uploadId: ['correction_upload', 'upload_id'],
  search: ['search', 'search_id'],
  sha256: ['dataset', 'sha256'],
};

/** For keys that are limited to some models. A path's `run` is a training run or a batch, its `id` an incident or prediction. */
export function modelOf(database: Queryable): Readonly<Record<string, ModelOf>> {
  const find = async (sql: string, id: string): Promise<string | null> => {
    try {
      const { rows } = await database.query<{ model: string }>(sql, [id]);
      return rows[0]?.model ?? null;
    } catch (error) {
      throw fromPostgresError(error);
    }
  };
  return {
    ...Object.fromEntries(
      Object.entries(PLACES).map(([parameter, [table, key]]): [string, ModelOf] => [
        parameter,
        (id) => find(`SELECT model FROM ${table} WHERE ${key}::text = $1`, id),
      ]),
    ),
    run: (id) =>
      find(
        `SELECT model FROM training_run WHERE run_id::text = $1 UNION ALL SELECT model FROM batch_run WHERE run_id::text = $1`,
        id,
      ),
    id: (id) =>
      find(
        `SELECT model FROM incident WHERE id::text = $1 UNION ALL SELECT model FROM training_run WHERE run_id::text = $1
         UNION ALL SELECT model FROM prediction
           WHERE prediction_id = CASE WHEN $1 ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN $1::uuid END`,
        id,
      ),
  };
}
