import { createHash, randomBytes } from 'node:crypto';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { fromPostgresError, postgresErrorCode, type Queryable } from '../postgres/pool.ts';
import { ROLES, type Role } from './authorization.ts';
import type { Project } from './project-store.ts';

const LATEST_MS = Date.UTC(9999, 11, 31);
const FOREIGN_KEY_VIOLATION = '23503';

export interface NewApiKey {
  readonly subject: string;
  readonly roles: readonly Role[];
  /** Models that the key may access; absent: all. */
  readonly models?: readonly string[];
  /** Predictions per second and node; absent: no quota. */
  readonly perSecond?: number;
  readonly expiresAt?: Date;
  /** Restricts the key to the models of this project. */
  readonly project?: string;
}

export interface ApiKeyRecord extends NewApiKey {
  readonly id: string;
  /** Hexadecimal SHA-256 of the key. */
  readonly digest: string;
  readonly revoked: boolean;
  readonly createdAt: Date;
  /** The project with its limits. */
  readonly limits?: Project;
}

export function keyDigest(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Writes and reads the table api_key. Rejects UNAVAILABLE while Postgres cannot be reached. */
export class ApiKeyStore {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** Creates a key. The key itself is returned only here; just its digest is stored. Throws INVALID_ARGUMENT. */
  async create(given: NewApiKey): Promise<{ id: string; key: string }> {
    if (given.subject === '' || given.subject.length > 200)
      throw invalid('subject must have 1 to 200 characters');
    if (given.roles.length === 0 || given.roles.some((role) => !ROLES.includes(role)))
      throw invalid(`roles must be some of ${ROLES.join(', ')}`);
    if (given.perSecond !== undefined && !(given.perSecond > 0)) throw invalid('per_second must be above 0');
    if (given.expiresAt !== undefined && !(given.expiresAt.getTime() <= LATEST_MS))
      throw invalid('a key expires before the year 10000, or never');
    const key = `hl_${randomBytes(24).toString('base64url')}`;
    const [row] = await this.#query(
      `INSERT INTO api_key (subject, key_sha256, roles, models, per_second, expires_at, project)
       VALUES ($1, decode($2, 'hex'), $3, $4, $5, $6, $7) RETURNING id`,
      [
        given.subject,
        keyDigest(key),
        given.roles,
        given.models ?? null,
        given.perSecond ?? null,
        given.expiresAt ?? null,
        given.project ?? null,
      ],
    );
    return { id: String(row?.id), key };
  }

  /** Newest first. */
  async list(): Promise<ApiKeyRecord[]> {
    const rows = await this.#query(
      `SELECT id, subject, encode(key_sha256, 'hex') AS digest, roles, models, api_key.per_second, expires_at,
              revoked_at IS NOT NULL AS revoked, api_key.created_at, api_key.project, project.per_second AS project_per_second,
              project.max_models
       FROM api_key LEFT JOIN project ON project.name = api_key.project ORDER BY api_key.created_at DESC, id`,
      [],
    );
    return rows.map((row) => ({
      id: row.id as string,
      subject: row.subject as string,
      digest: row.digest as string,
      roles: row.roles as Role[],
      ...(row.models === null ? {} : { models: row.models as string[] }),
      ...(row.per_second === null ? {} : { perSecond: row.per_second as number }),
      ...(row.expires_at === null ? {} : { expiresAt: row.expires_at as Date }),
      ...(row.project === null ? {} : { project: row.project as string, limits: limitsOf(row) }),
      revoked: row.revoked as boolean,
      createdAt: row.created_at as Date,
    }));
  }

  /** Throws NOT_FOUND. Revoking a key again has no effect. */
  async revoke(id: string): Promise<void> {
    const rows = await this.#query(
      'UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id::text = $1 RETURNING id',
      [id],
    );
    if (rows.length === 0) throw new HotloopError('NOT_FOUND', `no API key has the id ${id.slice(0, 80)}`);
  }

  async #query(sql: string, values: unknown[]): Promise<Record<string, unknown>[]> {
    try {
      return (await this.#database.query(sql, values)).rows as Record<string, unknown>[];
    } catch (error) {
      if (postgresErrorCode(error) === FOREIGN_KEY_VIOLATION)
        throw invalid('there is no such project; create it with `hotloop projects create`');
      throw fromPostgresError(error);
    }
  }
}

function limitsOf(row: Readonly<Record<string, unknown>>): Project {
  return {
    name: row.project as string,
    ...(row.project_per_second === null ? {} : { perSecond: row.project_per_second as number }),
    ...(row.max_models === null ? {} : { maxModels: row.max_models as number }),
  };
}

function invalid(message: string): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', message, { reason: 'invalid_api_key' });
}
