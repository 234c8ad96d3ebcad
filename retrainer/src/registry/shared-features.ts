import { parseSharedFeatures, type SharedFeatures } from '@hotloop/model/manifest/complete-manifest.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';

const CURRENT = 'SELECT version, yaml FROM shared_features ORDER BY version DESC LIMIT 1';

/** Input: the file, time in milliseconds, actor. Effect: inserts the next version, unless the newest has the same text. */
const INSERT = `
  INSERT INTO shared_features (version, yaml, at, actor)
  SELECT coalesce(max(version), 0) + 1, $1, to_timestamp($2 / 1000.0), $3 FROM shared_features
  RETURNING version`;

/** The newest features.yaml; undefined if there is none. Rejects UNAVAILABLE without Postgres. */
export async function currentSharedFeatures(pool: Pool): Promise<SharedFeatures | undefined> {
  try {
    const { rows } = await pool.query<{ version: number; yaml: string }>(CURRENT);
    return rows[0];
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/**
 * Stores a features.yaml as the next version. Models that were pushed earlier keep their features. Rejects INVALID_ARGUMENT
 * naming every wrong field.
 */
export async function pushSharedFeatures(
  pool: Pool,
  yaml: string,
  actor: string,
  now: number,
): Promise<{ version: number; features: string[] }> {
  const features = parseSharedFeatures(yaml);
  const current = await currentSharedFeatures(pool);
  if (current?.yaml === yaml) return { version: current.version, features };
  try {
    const { rows } = await pool.query<{ version: number }>(INSERT, [yaml, now, actor]);
    return { version: rows[0]?.version ?? 0, features };
  } catch (error) {
    throw fromPostgresError(error);
  }
}
