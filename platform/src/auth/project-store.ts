import { HotloopError } from '@hotloop/proto/errors.ts';
import { fromPostgresError, postgresErrorCode, type Queryable } from '../postgres/pool.ts';

const NAME = /^[a-z0-9][a-z0-9_]{0,30}$/;
const RESTRICT_VIOLATION = '23001';

/**
 * A team's share of an installation. Its models are named `NAME-...`, its topics `NAME....` or `NAME-...`, the variables
 * with the addresses of its databases `NAME__...` in upper case, and its objects `s3://BUCKET/projects/NAME/...`.
 */
export interface Project {
  readonly name: string;
  /** Predictions per second and node, for all its keys together; absent: no quota. */
  readonly perSecond?: number;
  /** Absent: no limit. */
  readonly maxModels?: number;
}

/** Whether a model belongs to a project. A project's name contains no hyphen, so no model belongs to two. */
export function isModelOf(project: string, model: string): boolean {
  return model.startsWith(`${project}-`);
}

/** The models of a project that a caller may access: all, or those that are named. */
export function modelsOf(project: string, named: Pick<ReadonlySet<string>, 'has'> | undefined) {
  return { has: (model: string) => isModelOf(project, model) && (named?.has(model) ?? true) };
}

/** Throws PERMISSION_DENIED for a topic that does not belong to the project. */
export function permitTopic(project: string, topic: string): void {
  if (topic.startsWith(`${project}.`) || topic.startsWith(`${project}-`)) return;
  throw new HotloopError(
    'PERMISSION_DENIED',
    `topic ${topic} is none of project ${project}; its topics begin with ${project}. or ${project}-`,
    { reason: 'topic_not_in_project' },
  );
}

/**
 * Throws PERMISSION_DENIED for a variable with the address of a database that is not one of the project: `PROJECT__NAME`.
 * NAME contains no `__`, so no variable belongs to two projects.
 */
export function permitVariable(project: string, variable: string): void {
  const prefix = `${project.toUpperCase()}__`;
  const name = variable.startsWith(prefix) ? variable.slice(prefix.length) : '';
  if (/^[A-Z0-9]/.test(name) && !name.includes('__')) return;
  throw new HotloopError(
    'PERMISSION_DENIED',
    `variable ${variable} is none of project ${project}; its variables begin with ${prefix}`,
    { reason: 'variable_not_in_project' },
  );
}

/** Writes and reads the table project. Rejects UNAVAILABLE while Postgres cannot be reached. */
export class ProjectStore {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** Creates a project, or changes its limits. Throws INVALID_ARGUMENT. */
  async put({ name, perSecond, maxModels }: Project): Promise<void> {
    if (!NAME.test(name))
      throw invalid('a project name is 1 to 31 of a-z, 0-9 and _, and starts with a letter or digit');
    if (perSecond !== undefined && !(perSecond > 0)) throw invalid('per_second must be above 0');
    if (maxModels !== undefined && !(Number.isInteger(maxModels) && maxModels > 0))
      throw invalid('max_models must be a whole number above 0');
    await this.#query(
      `INSERT INTO project (name, per_second, max_models) VALUES ($1, $2, $3)
       ON CONFLICT (name) DO UPDATE SET per_second = $2, max_models = $3`,
      [name, perSecond ?? null, maxModels ?? null],
    );
  }

  async list(): Promise<Project[]> {
    const rows = await this.#query('SELECT name, per_second, max_models FROM project ORDER BY name', []);
    return rows.map((row) => ({
      name: row.name as string,
      ...(row.per_second === null ? {} : { perSecond: row.per_second as number }),
      ...(row.max_models === null ? {} : { maxModels: row.max_models as number }),
    }));
  }

  /** Throws NOT_FOUND; FAILED_PRECONDITION while keys, including revoked ones, belong to it. Its models are kept. */
  async remove(name: string): Promise<void> {
    const rows = await this.#query('DELETE FROM project WHERE name = $1 RETURNING name', [name]);
    if (rows.length === 0)
      throw new HotloopError('NOT_FOUND', `there is no project ${name.slice(0, 80)}`, {
        reason: 'unknown_project',
      });
  }

  async #query(sql: string, values: unknown[]): Promise<Record<string, unknown>[]> {
    try {
      return (await this.#database.query(sql, values)).rows as Record<string, unknown>[];
    } catch (error) {
      if (postgresErrorCode(error) === RESTRICT_VIOLATION)
        throw new HotloopError(
          'FAILED_PRECONDITION',
          'API keys belong to the project; it cannot be removed',
          {
            reason: 'project_in_use',
            cause: error,
          },
        );
      throw fromPostgresError(error);
    }
  }
}

function invalid(message: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'invalid_project' });
}
