import { fromPostgresError, type Queryable } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

export type DatasetKind = 'collected' | 'imported' | 'built';

/** What a stored dataset is and where it comes from. */
export interface DatasetRow {
  readonly sha256: string;
  readonly model: string;
  readonly kind: DatasetKind;
  readonly examples: number;
  readonly columns: number;
  readonly positives: number;
  /** The newest outcome that could count, by sequence. */
  readonly cut: number;
  readonly bytes: number;
  readonly parts: Readonly<Record<string, number>>;
  readonly parentSha256: string | null;
  /** Milliseconds since 1970; null without rows. */
  readonly from: number | null;
  readonly to: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly createdAt: number;
}

export type NewDataset = Omit<DatasetRow, 'createdAt'>;

/** The key of a dataset's file in the model store. */
export function datasetKey(sha256: string): string {
  return `datasets/${sha256}.parquet`;
}

/** Keys of datasets in the store; the first group is the digest. */
export const DATASET_KEY = /^datasets\/([0-9a-f]{64})\.parquet$/;

/** Digests of every dataset that is known. */
export async function knownDatasets(database: Queryable): Promise<string[]> {
  try {
    const { rows } = await database.query<{ sha256: string }>('SELECT sha256 FROM dataset');
    return rows.map(({ sha256 }) => sha256);
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Keeps what a dataset was made of. The same rows have the same digest: once is enough. */
export async function storeDataset(client: Queryable, dataset: NewDataset): Promise<void> {
  await client
    .query(
      `INSERT INTO dataset (sha256, model, kind, examples, "columns", positives, cut, bytes, parts, parent_sha256, from_at,
         to_at, detail)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, to_timestamp($11::double precision / 1000),
         to_timestamp($12::double precision / 1000), $13)
       ON CONFLICT (sha256) DO UPDATE SET withdrawn_at = NULL`,
      [
        dataset.sha256,
        dataset.model,
        dataset.kind,
        dataset.examples,
        dataset.columns,
        dataset.positives,
        dataset.cut,
        dataset.bytes,
        JSON.stringify(dataset.parts),
        dataset.parentSha256,
        dataset.from,
        dataset.to,
        JSON.stringify(dataset.detail),
      ],
    )
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
}

const COLUMNS = `sha256, model, kind, examples, "columns", positives, cut, bytes, parts, parent_sha256,
  extract(epoch FROM from_at) * 1000 AS from_ms, extract(epoch FROM to_at) * 1000 AS to_ms, detail, created_at`;

interface StoredDataset {
  readonly sha256: string;
  readonly model: string;
  readonly kind: DatasetKind;
  readonly examples: string;
  readonly columns: number;
  readonly positives: string | null;
  readonly cut: string;
  readonly bytes: string;
  readonly parts: Record<string, number>;
  readonly parent_sha256: string | null;
  readonly from_ms: string | null;
  readonly to_ms: string | null;
  readonly detail: Record<string, unknown>;
  readonly created_at: Date;
}

const MOST_LISTED = 200;

/** The newest datasets of a model (or of all), newest first. */
export async function listDatasets(
  database: Queryable,
  model: string | null,
  kinds: readonly DatasetKind[] | null = null,
): Promise<DatasetRow[]> {
  const { rows } = await database
    .query<StoredDataset>(
      `SELECT ${COLUMNS} FROM dataset WHERE ($1::text IS NULL OR model = $1) AND ($2::text[] IS NULL OR kind = ANY($2))
         AND withdrawn_at IS NULL
       ORDER BY created_at DESC, sha256 LIMIT ${MOST_LISTED}`,
      [model, kinds],
    )
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  return rows.map(rowOf);
}

/** Finds a dataset by its digest or the beginning of it. Throws NOT_FOUND; INVALID_ARGUMENT where several begin so. */
export async function findDataset(database: Queryable, sha256: string): Promise<DatasetRow> {
  if (!/^[0-9a-f]{6,64}$/.test(sha256))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'a dataset is named by its digest, or the first 6 or more digits of it',
    );
  const { rows } = await database
    .query<StoredDataset>(`SELECT ${COLUMNS} FROM dataset WHERE sha256 LIKE $1 LIMIT 2`, [`${sha256}%`])
    .catch((error: unknown) => {
      throw fromPostgresError(error);
    });
  if (rows.length > 1)
    throw new HotloopError('INVALID_ARGUMENT', `several datasets begin with ${sha256}; give more digits`);
  if (!rows[0]) throw new HotloopError('NOT_FOUND', `there is no dataset ${sha256}`);
  return rowOf(rows[0]);
}

/** The newest outcome that any dataset of a model has seen, by sequence; 0 without one. */
export async function newestCut(database: Queryable, model: string): Promise<number> {
  const { rows } = await database.query<{ cut: string }>(
    'SELECT coalesce(max(cut), 0) AS cut FROM dataset WHERE model = $1',
    [model],
  );
  return Number(rows[0]?.cut ?? 0);
}

/** The newest time in a version's dataset, and its digest; null for a version that was not trained on one. */
export async function parentDataset(
  database: Queryable,
  datasetSha256: string | null,
): Promise<{ readonly sha256: string; readonly to: number } | null> {
  if (datasetSha256 === null) return null;
  const { rows } = await database.query<{ sha256: string; to_ms: string | null }>(
    'SELECT sha256, extract(epoch FROM to_at) * 1000 AS to_ms FROM dataset WHERE sha256 = $1',
    [datasetSha256],
  );
  const row = rows[0];
  return row ? { sha256: row.sha256, to: row.to_ms === null ? 0 : Math.round(Number(row.to_ms)) } : null;
}

function rowOf(row: StoredDataset): DatasetRow {
  const time = (text: string | null) => (text === null ? null : Math.round(Number(text)));
  return {
    sha256: row.sha256,
    model: row.model,
    kind: row.kind,
    examples: Number(row.examples),
    columns: row.columns,
    positives: Number(row.positives ?? 0),
    cut: Number(row.cut),
    bytes: Number(row.bytes),
    parts: row.parts,
    parentSha256: row.parent_sha256,
    from: time(row.from_ms),
    to: time(row.to_ms),
    detail: row.detail,
    createdAt: row.created_at.getTime(),
  };
}
