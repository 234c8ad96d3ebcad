import { fromPostgresError, type Queryable } from '../postgres/pool.ts';

interface FeatureRow {
  readonly source: string;
  readonly by: string | null;
}

/** The kinds of entities that look up each reference table, over all versions of all models. */
export async function referenceUsage(database: Queryable): Promise<Map<string, Set<string>>> {
  try {
    const { rows } = await database.query<FeatureRow>(
      `SELECT DISTINCT feature ->> 'from' AS source, feature ->> 'by' AS by
       FROM model_version, jsonb_array_elements(manifest -> 'features') AS feature
       WHERE feature ->> 'from' LIKE 'reference.%'`,
    );
    const usage = new Map<string, Set<string>>();
    for (const { source, by } of rows) {
      const table = source.split('.')[1] ?? '';
      usage.set(table, (usage.get(table) ?? new Set()).add(by ?? 'user'));
    }
    return usage;
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Topics that models read or write, in which messages stay until the broker's retention ends. */
export async function topicsOfModels(database: Queryable): Promise<string[]> {
  try {
    const { rows } = await database.query<{ topic: string }>(
      `SELECT DISTINCT topic FROM model_version, LATERAL (
         SELECT substr(manifest -> 'outcome' ->> 'from', 7) AS topic
           WHERE manifest -> 'outcome' ->> 'from' LIKE 'kafka:%'
         UNION ALL SELECT value FROM jsonb_each_text(
           CASE jsonb_typeof(manifest -> 'kafka') WHEN 'object' THEN manifest -> 'kafka' ELSE '{}' END)
           WHERE key IN ('requests', 'replies')) AS named
       WHERE topic IS NOT NULL ORDER BY topic`,
    );
    return rows.map(({ topic }) => topic);
  } catch (error) {
    throw fromPostgresError(error);
  }
}
