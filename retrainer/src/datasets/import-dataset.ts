import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { columnKeys } from '@hotloop/model/manifest/column-keys.ts';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { trainingSpec, validationShare } from '@hotloop/model/training/training-settings.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Dataset, loadDataset } from './dataset.ts';
import { datasetKey, storeDataset } from './dataset-store.ts';
import { type LabelledColumns, labelledRowReader } from './labelled-rows.ts';
import { readTable } from './read-table.ts';
import { RowSpool } from './row-spool.ts';
import { writeDataset } from './write-dataset.ts';

export interface ImportedDataset extends Dataset {
  readonly sha256: string;
  readonly examples: number;
  readonly positives: number;
  /** Rows that were refused: the first of them with their reason. */
  readonly refused: number;
  readonly problems: readonly string[];
}

export interface ImportDependencies {
  readonly pool: Pool;
  readonly objects: ObjectStore;
}

const MOST_PROBLEMS = 20;
/** A file of which this share is refused is not the file that was meant. */
const MOST_REFUSED = 0.1;

/**
 * Makes a dataset of a file with labels: features by the model's own plan, kept in the store and registered as the model's
 * history, which every later dataset includes. Rows that cannot be read are refused with their line; the import fails with
 * INVALID_ARGUMENT when that is more than a tenth of them.
 */
export async function importDataset(
  path: string,
  manifest: Manifest,
  columns: LabelledColumns,
  { pool, objects }: ImportDependencies,
): Promise<ImportedDataset> {
  const reader = labelledRowReader(manifest, columns);
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-import-'));
  try {
    await using spool = await RowSpool.create(folder, columnsOf(manifest).width);
    const problems: string[] = [];
    let refused = 0;
    for await (const row of readTable(path)) {
      try {
        const { vector, label, at } = reader.read(row);
        const id = `line ${row.line}`;
        const own = { predictionId: id, row: 0, at: at ?? row.line, label, weight: 1, version: 0, key: id };
        await spool.append({ ...own, source: 'import' }, vector);
      } catch (error) {
        if (!(error instanceof HotloopError)) throw error;
        refused++;
        if (problems.length < MOST_PROBLEMS) problems.push(error.message);
      }
    }
    if (spool.length === 0 || refused > (spool.length + refused) * MOST_REFUSED)
      throw new HotloopError(
        'INVALID_ARGUMENT',
        `${refused} of ${spool.length + refused} rows were refused: ${problems.slice(0, 3).join('; ') || 'the file has no rows'}`,
        { reason: 'refused_rows' },
      );
    const spec = trainingSpec(manifest);
    const { data, holdout } = spec;
    const written = await writeDataset(spool, join(folder, 'dataset.parquet'), {
      model: manifest.name,
      columns: columnKeys(manifest),
      split: { holdout, validation: validationShare(spec), data, hasParent: false },
      parentTo: 0,
    });
    await objects.putFile(datasetKey(written.sha256), join(folder, 'dataset.parquet'));
    await storeDataset(pool, {
      sha256: written.sha256,
      model: manifest.name,
      kind: 'imported',
      examples: written.examples,
      columns: columnsOf(manifest).width,
      positives: written.positives,
      cut: 0,
      bytes: written.bytes,
      parts: written.parts,
      parentSha256: null,
      from: columns.at === null ? null : written.from,
      to: columns.at === null ? null : written.to,
      detail: { label: columns.label, at: columns.at, refused, problems },
    });
    const { sha256, examples, positives } = written;
    return {
      sha256,
      examples,
      positives,
      refused,
      problems,
      ...(await loadDataset(join(folder, 'dataset.parquet'))),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
