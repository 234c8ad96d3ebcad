import { type Manifest, manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import type { Log } from '../log.ts';
import type { Queryable } from '../postgres/pool.ts';
import type { ModelRecord, RolloutTraffic, VersionRecord } from './snapshot.ts';

/** Grows with every change of the registry. Text, because it is a bigint and is only compared for equality. */
export async function readRevision(database: Queryable): Promise<string> {
  const { rows } = await database.query<{ revision: string }>('SELECT revision FROM registry_change');
  return rows[0]?.revision ?? '';
}

interface ModelRow {
  readonly name: string;
  readonly live: number | null;
  readonly previous: number | null;
  readonly target: number | null;
  readonly generation: number;
}

interface VersionRow {
  readonly model: string;
  readonly version: number;
  readonly bundle: string;
  readonly onnx: string;
  readonly parent: number | null;
}

/** A rollout's traffic as stored in the table. */
type RolloutRow = RolloutTraffic & { readonly model: string };

export interface RegistryRows {
  readonly revision: string;
  readonly rollouts: readonly RolloutRow[];
  readonly models: readonly ModelRow[];
  readonly versions: readonly VersionRow[];
}

/** Everything except the manifests, read in one statement and so at one moment. */
export async function readRegistry(database: Queryable): Promise<RegistryRows> {
  const { rows } = await database.query<RegistryRows>(`
    SELECT
      (SELECT revision::text FROM registry_change) AS revision,
      (SELECT coalesce(json_agg(json_build_object(
          'name', name, 'live', live_version, 'previous', previous_version, 'target', target_version,
          'generation', generation) ORDER BY name), '[]') FROM model) AS models,
      (SELECT coalesce(json_agg(traffic || jsonb_build_object('rolloutId', rollout_id, 'model', model)
          ORDER BY model, created_at, rollout_id), '[]') FROM rollout WHERE traffic IS NOT NULL) AS rollouts,
      (SELECT coalesce(json_agg(json_build_object(
          'model', model, 'version', version, 'bundle', bundle_sha256, 'onnx', onnx_sha256,
          'parent', parent_version) ORDER BY model, version), '[]') FROM model_version) AS versions`);
  return rows[0]!;
}

/** Key of a version in a map. */
export function versionKey(model: string, version: number): string {
  return `${model}@${version}`;
}

/**
 * Reads versions that are not known yet. A version never changes, so each is read and parsed once. A version whose
 * manifest this release cannot parse is skipped and logged, so that the others still work.
 */
export async function readVersions(
  database: Queryable,
  wanted: readonly VersionRow[],
  log: Log,
): Promise<ReadonlyMap<string, VersionRecord>> {
  const found = new Map<string, VersionRecord>();
  if (wanted.length === 0) return found;
  const { rows } = await database.query<{ model: string; version: number; manifest: unknown }>(
    `SELECT v.model, v.version, v.manifest FROM model_version v
     JOIN unnest($1::text[], $2::integer[]) AS w (model, version) USING (model, version)`,
    [wanted.map((row) => row.model), wanted.map((row) => row.version)],
  );
  const manifests = new Map(rows.map((row) => [versionKey(row.model, row.version), row.manifest]));
  for (const row of wanted) {
    const key = versionKey(row.model, row.version);
    const parsed = manifestSchema.safeParse(manifests.get(key));
    if (parsed.success) found.set(key, versionRecord(row, parsed.data));
    else
      log.error(
        { model: row.model, version: row.version, error: parsed.error },
        'a registered manifest cannot be read',
      );
  }
  return found;
}

function versionRecord(row: VersionRow, manifest: Manifest): VersionRecord {
  return {
    model: row.model,
    version: row.version,
    bundleSha256: row.bundle,
    onnxSha256: row.onnx,
    manifest,
    parentVersion: row.parent,
  };
}

export function modelRecord(
  row: ModelRow,
  versions: ReadonlyMap<number, VersionRecord>,
  rollouts: readonly RolloutTraffic[] = [],
): ModelRecord {
  return {
    name: row.name,
    liveVersion: row.live,
    previousVersion: row.previous,
    targetVersion: row.target,
    generation: row.generation,
    versions,
    ...(rollouts.length === 0 ? {} : { rollouts }),
  };
}

/** Whether two records of one model are equal; version records are compared by identity. */
export function sameModel(a: ModelRecord, b: ModelRecord): boolean {
  return (
    a.liveVersion === b.liveVersion &&
    a.previousVersion === b.previousVersion &&
    a.targetVersion === b.targetVersion &&
    a.generation === b.generation &&
    JSON.stringify(a.rollouts ?? []) === JSON.stringify(b.rollouts ?? []) &&
    a.versions.size === b.versions.size &&
    [...a.versions].every(([number, record]) => b.versions.get(number) === record)
  );
}
