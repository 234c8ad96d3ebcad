import { type Manifest, manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import {
  fromPostgresError,
  type Pool,
  type Queryable,
  transaction,
} from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { appendLedger, newestVersionEver } from '../ledger/ledger.ts';
import { unknownModel } from '../rollouts/promotion-store.ts';

/** A bundle in the bundle store that will become a version. */
export interface NewVersion {
  readonly model: string;
  readonly bundleSha256: string;
  readonly onnxSha256: string;
  readonly manifest: Manifest;
  readonly note: string;
  /** Parent version of a trained version; null for a pushed one. */
  readonly trained: {
    /** Null for a version trained from a file. */
    readonly parentVersion: number | null;
    readonly datasetSha256: string;
    readonly runId: string | null;
    readonly metrics: Readonly<Record<string, number>>;
  } | null;
  readonly actor: string;
  readonly at: number;
}

export interface RegisteredVersion {
  readonly version: number;
  /** False if the same bundle was already registered. */
  readonly created: boolean;
}

/** Registers a version in its own transaction, together with `also`; see `insertVersion`. */
export async function registerVersion(
  pool: Pool,
  version: NewVersion,
  also: (client: Queryable, version: number) => Promise<void> = async () => undefined,
): Promise<RegisteredVersion> {
  const register = async (client: Queryable) => {
    const registered = await insertVersion(client, version);
    if (registered.created) await also(client, registered.version);
    return registered;
  };
  try {
    return await transaction(pool, register, { retrySerialization: true });
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/**
 * Gives a bundle the model's next number and writes the ledger, inside the caller's transaction. A bundle that is already registered
 * keeps its number. Numbers are never reused, even after the newest version was deleted: allocation locks the model's row and reads
 * the ledger.
 */
export async function insertVersion(client: Queryable, version: NewVersion): Promise<RegisteredVersion> {
  const { model, bundleSha256, trained } = version;
  await holdModel(client, model);
  const existing = await client.query<{ version: number }>(
    'SELECT version FROM model_version WHERE model = $1 AND bundle_sha256 = $2',
    [model, bundleSha256],
  );
  if (existing.rows[0]) return { version: existing.rows[0].version, created: false };
  const newest = await newestVersionEver(client, model);
  const { rows } = await client.query<{ version: number }>(
    `INSERT INTO model_version
       (model, version, bundle_sha256, onnx_sha256, manifest, parent_version, dataset_sha256, run_id, metrics, note)
     SELECT $1, greatest(max(version), $10::integer) + 1, $2, $3, $4, $5, $6, $7, $8, $9 FROM model_version WHERE model = $1
     RETURNING version`,
    [
      model,
      bundleSha256,
      version.onnxSha256,
      // Golden examples stay in the bundle, for the node that loads it; every service reads the rest of every version.
      JSON.stringify({ ...version.manifest, golden: undefined }),
      trained?.parentVersion ?? null,
      trained?.datasetSha256 ?? null,
      trained?.runId ?? null,
      JSON.stringify(trained?.metrics ?? {}),
      version.note,
      newest,
    ],
  );
  const number = rows[0]?.version;
  if (number === undefined) throw new HotloopError('INTERNAL', 'the version got no number');
  await appendLedger(client, {
    at: version.at,
    actor: version.actor,
    action: 'push',
    model,
    version: number,
    detail: {
      bundle_sha256: bundleSha256,
      onnx_sha256: version.onnxSha256,
      ...(trained
        ? {
            parent_version: trained.parentVersion,
            dataset_sha256: trained.datasetSha256,
            run_id: trained.runId,
            metrics: trained.metrics,
          }
        : {}),
    },
  });
  return { version: number, created: true };
}

/**
 * Locks the model's row, and creates it if necessary. Every change of a model locks that row first, then the rows that the
 * registry's triggers change, then the ledger; with another order, a push and a promotion could deadlock.
 */
export async function holdModel(client: Queryable, model: string): Promise<void> {
  const hold = 'SELECT 1 FROM model WHERE name = $1 FOR NO KEY UPDATE';
  const { rowCount } = await client.query(hold, [model]);
  if (rowCount === 1) return;
  await client.query('INSERT INTO model (name) VALUES ($1) ON CONFLICT DO NOTHING', [model]);
  await client.query(hold, [model]);
}

/** A version as registered. */
export interface VersionRow {
  readonly model: string;
  readonly version: number;
  readonly bundleSha256: string;
  readonly onnxSha256: string;
  readonly task: string;
  readonly parentVersion: number | null;
  readonly datasetSha256: string | null;
  readonly runId: string | null;
  readonly metrics: Readonly<Record<string, number>>;
  readonly note: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Null unless the version is archived: kept, but it cannot be promoted. */
  readonly archivedAt: number | null;
  readonly createdAt: number;
}

interface StoredVersion {
  readonly model: string;
  readonly version: number;
  readonly bundle_sha256: string;
  readonly onnx_sha256: string;
  readonly task: string;
  readonly parent_version: number | null;
  readonly dataset_sha256: string | null;
  readonly run_id: string | null;
  readonly metrics: Record<string, number>;
  readonly note: string;
  readonly labels: Record<string, string>;
  readonly archived_at: Date | null;
  readonly created_at: Date;
}

const COLUMNS = `model, version, bundle_sha256, onnx_sha256, manifest ->> 'task' AS task, parent_version, dataset_sha256,
  run_id, metrics, note, labels, archived_at, created_at`;

/** Throws NOT_FOUND. */
export async function findVersion(database: Queryable, model: string, version: number): Promise<VersionRow> {
  const { rows } = await database
    .query<StoredVersion>(`SELECT ${COLUMNS} FROM model_version WHERE model = $1 AND version = $2`, [
      model,
      version,
    ])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  if (!rows[0]) throw await unknownVersion(database, model, version);
  return versionOf(rows[0]);
}

/** NOT_FOUND, naming the newest existing version, or the model with the most similar name. */
export async function unknownVersion(
  database: Queryable,
  model: string,
  version: number,
): Promise<HotloopError> {
  const { rows } = await database.query<{ newest: number | null }>(
    'SELECT max(version) AS newest FROM model_version WHERE model = $1',
    [model],
  );
  const newest = rows[0]?.newest ?? null;
  if (newest === null) return unknownModel(database, model);
  return new HotloopError('NOT_FOUND', `model ${model} has no version ${version}; its newest is ${newest}`);
}

/** The live version of a model, else its newest; null for a model that is not registered. */
export async function findLiveOrNewest(database: Queryable, model: string): Promise<VersionRow | null> {
  const { rows } = await database
    .query<StoredVersion>(
      `SELECT ${COLUMNS} FROM model_version WHERE model = $1
       ORDER BY version = (SELECT live_version FROM model WHERE name = $1) DESC NULLS LAST, version DESC LIMIT 1`,
      [model],
    )
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows[0] ? versionOf(rows[0]) : null;
}

/** All versions of a model, the newest first. */
export async function listVersions(database: Queryable, model: string): Promise<VersionRow[]> {
  const { rows } = await database
    .query<StoredVersion>(`SELECT ${COLUMNS} FROM model_version WHERE model = $1 ORDER BY version DESC`, [
      model,
    ])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows.map(versionOf);
}

function versionOf(row: StoredVersion): VersionRow {
  return {
    model: row.model,
    version: row.version,
    bundleSha256: row.bundle_sha256,
    onnxSha256: row.onnx_sha256,
    task: row.task,
    parentVersion: row.parent_version,
    datasetSha256: row.dataset_sha256,
    runId: row.run_id,
    metrics: row.metrics,
    note: row.note,
    labels: row.labels,
    archivedAt: row.archived_at?.getTime() ?? null,
    createdAt: row.created_at.getTime(),
  };
}

/** The manifests of all versions of a model as registered, the oldest first. */
export async function listManifests(
  database: Queryable,
  model: string,
): Promise<{ readonly version: number; readonly manifest: Manifest }[]> {
  const { rows } = await database.query<{ version: number; manifest: Manifest }>(
    'SELECT version, manifest FROM model_version WHERE model = $1 ORDER BY version',
    [model],
  );
  return rows;
}

/** The manifest of a version as registered. Throws NOT_FOUND. */
export async function readManifest(database: Queryable, model: string, version: number): Promise<Manifest> {
  const { rows } = await database.query<{ manifest: unknown }>(
    'SELECT manifest FROM model_version WHERE model = $1 AND version = $2',
    [model, version],
  );
  if (!rows[0]) throw new HotloopError('NOT_FOUND', `model ${model} has no version ${version}`);
  return manifestSchema.parse(rows[0].manifest);
}

/** The dataset that a version was trained on; null for one that was pushed, or is not there. */
export async function datasetOfVersion(
  database: Queryable,
  model: string,
  version: number,
): Promise<string | null> {
  const { rows } = await database.query<{ dataset_sha256: string | null }>(
    'SELECT dataset_sha256 FROM model_version WHERE model = $1 AND version = $2',
    [model, version],
  );
  return rows[0]?.dataset_sha256 ?? null;
}

/** Versions that were trained on one of these datasets. */
export async function versionsTrainedOn(
  database: Queryable,
  datasets: readonly string[],
): Promise<{ readonly model: string; readonly version: number }[]> {
  const { rows } = await database.query<{ model: string; version: number }>(
    'SELECT model, version FROM model_version WHERE dataset_sha256 = ANY($1) ORDER BY model, version',
    [datasets],
  );
  return rows;
}
