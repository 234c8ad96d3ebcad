import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { type Caller, permitModel } from '@hotloop/platform/auth/authorization.ts';
import { permitTopic, permitVariable } from '@hotloop/platform/auth/project-store.ts';
import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * Enforces for a push the key's models and the limits of its project: the models, topics and databases that the
 * manifest names, and the number of models. Throws PERMISSION_DENIED, or RESOURCE_EXHAUSTED for one model too many.
 */
export async function permitPush(caller: Caller, manifest: Manifest, database: Queryable): Promise<void> {
  for (const model of modelsIn(manifest)) permitModel(caller, model);
  const { project } = caller;
  if (project === undefined) return;
  for (const topic of topicsOf(manifest)) permitTopic(project.name, topic);
  const from = manifest.outcome?.from;
  if (typeof from === 'object') permitVariable(project.name, from.sql.url_env);
  if (project.maxModels === undefined) return;
  const { models, exists } = await countModels(database, project.name, manifest.name);
  if (!exists && models >= project.maxModels)
    throw new HotloopError(
      'RESOURCE_EXHAUSTED',
      `project ${project.name} has ${models} models, and may have ${project.maxModels}`,
      { reason: 'project_models' },
    );
}

/** The model itself, and the models whose answers it uses. */
function modelsIn({ name, pipeline = [], rollout }: Manifest): string[] {
  return [name, ...pipeline.map(({ model }) => model), rollout?.fallback].filter(
    (model) => model !== undefined,
  );
}

/** Topics that a manifest reads or writes. `{label}` stands for a label. */
function topicsOf({ outcome, kafka }: Manifest): string[] {
  const from = outcome?.from;
  return [
    ...(typeof from === 'string' && from.startsWith('kafka:') ? [from.slice('kafka:'.length)] : []),
    ...[kafka?.requests, kafka?.replies, kafka?.replies_by_label].filter((topic) => topic !== undefined),
  ];
}

async function countModels(
  database: Queryable,
  project: string,
  model: string,
): Promise<{ models: number; exists: boolean }> {
  try {
    const { rows } = await database.query<{ models: number; exists: boolean }>(
      `SELECT count(*)::int AS models, coalesce(bool_or(name = $2), false) AS exists FROM model
       WHERE starts_with(name, $1 || '-')`,
      [project, model],
    );
    return rows[0] ?? { models: 0, exists: false };
  } catch (error) {
    throw fromPostgresError(error);
  }
}
