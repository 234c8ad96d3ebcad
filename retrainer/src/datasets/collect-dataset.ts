import { join } from 'node:path';
import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainingSpec, validationShare } from '@hotloop/model/training/training-settings.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type CollectedRows, type CollectOptions, collectRows } from './collect-rows.ts';
import { datasetInputs } from './dataset-inputs.ts';
import { appendImported, type ImportedFile } from './imported-rows.ts';
import { RowSpool } from './row-spool.ts';
import { appendTold } from './told-examples.ts';
import { type WrittenDataset, writeDataset } from './write-dataset.ts';

export type { CollectOptions } from './collect-rows.ts';

export const COLLECT_DEFAULTS: CollectOptions = {
  maxPredictions: 2_000_000,
  maxRows: 4_000_000,
  maxFeatureBytes: 4 * 1024 ** 3,
};

export interface CollectRequest {
  readonly manifest: Manifest;
  /** Windows that have ended by then are closed. */
  readonly now: number;
  readonly options: CollectOptions;
  /** Labelled files that belong to the model; their rows count as older than the log. */
  readonly imports: readonly ImportedFile[];
  /** Newest time in the dataset that the parent was trained on; null without one. */
  readonly parentTo: number | null;
}

/** A dataset that was written into a folder. */
export interface CollectedFile extends CollectedRows, WrittenDataset {
  readonly path: string;
}

const QUERY_MS = 600_000;

/**
 * Builds the dataset of a model from what was logged and what was reported, in one snapshot of Postgres, and writes it as Parquet
 * into `folder`. The vectors are those that were served, never computed again. Memory is bounded by slices. Throws
 * FAILED_PRECONDITION for a model whose log keeps one of its features out, or whose images are large.
 */
export async function collectDataset(
  pool: Pool,
  request: CollectRequest,
  folder: string,
): Promise<CollectedFile> {
  const { manifest, options } = request;
  refuseRedacted(manifest);
  refuseLargeImages(manifest);
  const columns = columnsOf(manifest).width;
  await using spool = await RowSpool.create(folder, columns);
  const importNotes = await appendImported(request.imports, manifest, spool);
  const collected = await inSnapshot(pool, async (clients) => {
    const notes = await appendTold(clients.lookups, manifest, spool);
    const rows = await collectRows(clients, manifest, spool, request.now, options);
    return { ...rows, notes: [...notes, ...rows.notes] };
  });
  const spec = trainingSpec(manifest);
  const { data, holdout } = spec;
  const fitting = Math.max(1, Math.floor(options.maxFeatureBytes / (4 * Math.max(columns, 1))));
  const most = Math.min(fitting, data.max_rows ?? fitting);
  const dropped = spool.keepNewest(most);
  const left =
    dropped === 0
      ? []
      : [
          `the oldest ${dropped} labelled rows are left out: a dataset of this model holds ${most} rows at most`,
        ];
  const path = join(folder, 'dataset.parquet');
  const written = await writeDataset(spool, path, {
    model: manifest.name,
    columns: columnKeys(manifest),
    ...datasetInputs(manifest),
    split: { holdout, validation: validationShare(spec), data, hasParent: request.parentTo !== null },
    parentTo: request.parentTo ?? 0,
  });
  return { ...collected, ...written, notes: [...importNotes, ...collected.notes, ...left], path };
}

/** Two connections that see the same state: one streams, the other answers questions meanwhile. */
async function inSnapshot<T>(
  pool: Pool,
  use: (clients: Parameters<typeof collectRows>[0]) => Promise<T>,
): Promise<T> {
  const lookups = await pool.connect();
  let broken: Error | undefined;
  try {
    const log = await pool.connect();
    try {
      const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${QUERY_MS};
        SET LOCAL idle_in_transaction_session_timeout = ${QUERY_MS}`;
      await lookups.query(begin);
      const { rows } = await lookups.query<{ snapshot: string }>('SELECT pg_export_snapshot() AS snapshot');
      await log.query(begin);
      await log.query(`SET TRANSACTION SNAPSHOT ${log.escapeLiteral(rows[0]?.snapshot ?? '')}`);
      return await use({ log, lookups });
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error));
      throw error;
    } finally {
      // A stream that was left half read cannot be used again.
      if (!broken) await log.query('COMMIT');
      log.release(broken);
    }
  } catch (error) {
    throw fromPostgresError(error);
  } finally {
    if (!broken) await lookups.query('COMMIT').catch(() => undefined);
    lookups.release(broken);
  }
}

/** A dataset has a column for each number of a row. */
const MOST_IMAGE_COLUMNS = 16_384;

function refuseLargeImages(manifest: Manifest): void {
  for (const [index, { name, transform }] of manifest.features.entries()) {
    const [first] = transform;
    const width = columnsOf(manifest).features[index]?.width ?? 0;
    if (typeof first !== 'object' || !('image' in first) || width <= MOST_IMAGE_COLUMNS) continue;
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} cannot be trained here: its image ${name} has ${width} numbers, and datasets take images of at most ${MOST_IMAGE_COLUMNS}; train it elsewhere and push it`,
      { reason: 'image_too_large' },
    );
  }
}

function refuseRedacted(manifest: Manifest): void {
  const hidden = manifest.features.find((feature) => manifest.log.redact.includes(feature.name));
  if (hidden)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${manifest.name} cannot be trained: log.redact keeps its feature ${hidden.name} out of the log`,
      { reason: 'redacted_feature' },
    );
}
