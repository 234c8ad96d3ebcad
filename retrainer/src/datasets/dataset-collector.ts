import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { columnsOf } from '@hotloop/model/manifest/columns.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { countWaiting } from '../outcomes/waiting-outcomes.ts';
import { datasetOfVersion } from '../registry/version-store.ts';
import { type JobLimits, runJobProcess } from '../training/job-process.ts';
import { type CollectedFile, type CollectOptions, collectDataset } from './collect-dataset.ts';
import { type CollectorDone, DATASET_FILE, REQUEST_FILE } from './collector-protocol.ts';
import { type LoadedDataset, loadDataset } from './dataset.ts';
import { datasetKey, findDataset, listDatasets, type NewDataset, parentDataset } from './dataset-store.ts';

/** A dataset that lies in the store, with its rows, until it is disposed of. */
export interface CollectedDataset extends LoadedDataset, Omit<CollectedFile, 'path'> {
  /** Outcomes whose prediction was not in Postgres when the waiting for it ended. */
  readonly missing: number;
  /** Time and peak memory of the collecting process; absent where it ran in this process. */
  readonly seconds?: number;
  readonly peakMb?: number;
  /** For `storeDataset`, in the transaction that uses it. */
  readonly row: NewDataset;
}

/** Collects datasets of models into the store. */
export interface DatasetCollector {
  /** @param parentVersion the version that is to be improved. */
  collect(
    manifest: Manifest,
    parentVersion: number,
    now: number,
    options: CollectOptions,
    limits: JobLimits,
  ): Promise<CollectedDataset>;
  /** A dataset that was collected before, as it is in the store. Throws NOT_FOUND, DATA_LOSS. */
  reload(sha256: string): Promise<CollectedDataset>;
}

export interface CollectorDependencies {
  readonly pool: Pool;
  readonly objects: ObjectStore;
  /** Where the collecting process connects to; absent: collected in this process, for tests. */
  readonly databaseUrl?: string;
  /** How long to wait for predictions that labels name and that are not in Postgres yet. */
  readonly waitMs: number;
}

/** Predictions reach Postgres within seconds. Older labels without a prediction are not waited for. */
const RECENT_MS = 10 * 60_000;
const LOOK_EVERY_MS = 250;
/** Memory limit of the joining process. It normally needs far less, because it works in slices. */
const MEMORY_MB = 600;

/**
 * Joins in a child process of bounded memory, stores the file by its digest, and reads it back. Waits `waitMs` for predictions that
 * labels name and that are not in Postgres yet, and counts the labels that still have none.
 */
export function datasetCollector(dependencies: CollectorDependencies): DatasetCollector {
  const { pool, objects, databaseUrl } = dependencies;
  return {
    async reload(sha256) {
      const { createdAt: _createdAt, ...row } = await findDataset(pool, sha256);
      const folder = await mkdtemp(join(tmpdir(), 'hotloop-reload-'));
      try {
        const path = join(folder, DATASET_FILE);
        await objects.getFile(datasetKey(row.sha256), path);
        const detail = row.detail as Pick<
          CollectedDataset,
          'pending' | 'unmatched' | 'unusable' | 'notes'
        > & {
          readonly missing: number;
        };
        const { examples, positives, cut, bytes, from, to } = row;
        const parts = row.parts as CollectedDataset['parts'];
        return {
          ...{ sha256: row.sha256, examples, positives, cut, bytes, parts, from: from ?? 0, to: to ?? 0 },
          ...detail,
          ...(await loadDataset(path)),
          row,
        };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    async collect(manifest, parentVersion, now, options, limits) {
      const missing = await awaitPredictions(dependencies, manifest.name, limits.signal);
      const parent = await parentDataset(pool, await datasetOfVersion(pool, manifest.name, parentVersion));
      const imported = await listDatasets(pool, manifest.name, ['imported', 'built']);
      const folder = await mkdtemp(join(tmpdir(), 'hotloop-collect-'));
      try {
        const imports = await Promise.all(
          imported.reverse().map(async ({ sha256 }, index) => {
            const path = join(folder, `imported-${index}.parquet`);
            await objects.getFile(datasetKey(sha256), path);
            return { sha256, path };
          }),
        );
        const request = { manifest, now, options, imports, parentTo: parent?.to ?? null };
        const store = async (path: string, collected: Omit<CollectedFile, 'path'>) => {
          await objects.putFile(datasetKey(collected.sha256), path);
          return { collected, dataset: await loadDataset(path) };
        };
        const { collected, dataset } =
          databaseUrl === undefined
            ? await collectDataset(pool, request, folder).then(({ path, ...rest }) => store(path, rest))
            : await runJobProcess<never, CollectorDone, Awaited<ReturnType<typeof store>>>({
                ...limits,
                memoryLimitMb: MEMORY_MB,
                semiSpaceMb: 32,
                activity: 'dataset',
                mainFile: fileURLToPath(new URL('./collector-main.ts', import.meta.url)),
                prepare: (directory) =>
                  writeFile(join(directory, REQUEST_FILE), JSON.stringify({ ...request, databaseUrl }), {
                    mode: 0o600,
                  }),
                collect: (directory, done) => store(join(directory, DATASET_FILE), done),
              });
        return {
          ...collected,
          ...dataset,
          missing,
          row: rowOf(manifest, collected, missing, parent?.sha256),
        };
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };
}

/** Resolves with how many recent outcomes still name a prediction that is not in Postgres. */
async function awaitPredictions(
  { pool, waitMs }: CollectorDependencies,
  model: string,
  signal?: AbortSignal,
): Promise<number> {
  const end = performance.now() + waitMs;
  for (;;) {
    const waiting = await countWaiting(pool, model, RECENT_MS);
    if (waiting === 0 || performance.now() >= end) return waiting;
    await sleep(LOOK_EVERY_MS, undefined, signal ? { signal } : {});
  }
}

function rowOf(
  manifest: Manifest,
  collected: Omit<CollectedFile, 'path'>,
  missing: number,
  parentSha256: string | undefined,
): NewDataset {
  const { pending, unmatched, unusable, notes } = collected;
  return {
    sha256: collected.sha256,
    model: manifest.name,
    kind: 'collected',
    examples: collected.examples,
    columns: columnsOf(manifest).width,
    positives: collected.positives,
    cut: collected.cut,
    bytes: collected.bytes,
    parts: collected.parts,
    parentSha256: parentSha256 ?? null,
    from: collected.from === 0 ? null : collected.from,
    to: collected.to === 0 ? null : collected.to,
    detail: { pending, unmatched, unusable, missing, notes },
  };
}
