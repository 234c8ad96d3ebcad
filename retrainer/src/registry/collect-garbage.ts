import type { Log } from '@hotloop/platform/log.ts';
import type { ObjectStore, StoredObject } from '@hotloop/platform/object-store/object-store.ts';
import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { DATASET_KEY, knownDatasets } from '../datasets/dataset-store.ts';
import { CHECKPOINT_KEY } from '../improve/run-checkpoints.ts';
import { openRuns } from '../runs/run-store.ts';

/** Unreferenced objects of the store. */
export interface Garbage {
  readonly bundles: number;
  readonly datasets: number;
  readonly checkpoints: number;
  readonly bytes: number;
  readonly keys: readonly string[];
}

export interface GarbageOptions {
  /** Younger objects are kept, because an upload may be about to register them. */
  readonly minAgeMs: number;
  /** Only lists, and removes nothing. */
  readonly isDryRun: boolean;
}

const BUNDLE_KEY = /^([0-9a-f]{64})\/model\.(onnx|yaml)$/;
const EVERY_MS = 6 * 3_600_000;
const MIN_AGE_MS = 24 * 3_600_000;
/** Key of the advisory lock, the same in every retrainer: only one collects at a time. */
const LOCK = 7_403_002;

/**
 * Removes bundles without a registered version, datasets that the registry does not know and checkpoints of ended runs. References
 * are read after the listing, and a bundle's age counts from the last push that used it. Other keys of the store are not touched.
 */
export async function collectGarbage(
  pool: Pool,
  objects: ObjectStore,
  now: number,
  { minAgeMs, isDryRun }: GarbageOptions,
): Promise<Garbage> {
  const found = new Map<string, StoredObject[]>();
  for await (const object of objects.list('')) {
    const name =
      BUNDLE_KEY.exec(object.key)?.[1] ??
      DATASET_KEY.exec(object.key)?.[1] ??
      CHECKPOINT_KEY.exec(object.key)?.[1];
    if (name !== undefined) found.set(name, [...(found.get(name) ?? []), object]);
  }
  const wanted = await readWanted(pool);
  const old = [...found].filter(
    ([name, parts]) => !wanted.has(name) && parts.every(({ modifiedMs }) => modifiedMs < now - minAgeMs),
  );
  const garbage = old.flatMap(([, parts]) => parts);
  if (!isDryRun) for (const { key } of garbage) await objects.remove(key);
  const countOf = (form: RegExp) => old.filter(([, parts]) => parts.some(({ key }) => form.test(key))).length;
  return {
    bundles: countOf(BUNDLE_KEY),
    datasets: countOf(DATASET_KEY),
    checkpoints: countOf(CHECKPOINT_KEY),
    bytes: garbage.reduce((sum, { bytes }) => sum + bytes, 0),
    keys: garbage.map(({ key }) => key),
  };
}

async function readWanted(pool: Pool): Promise<ReadonlySet<string>> {
  try {
    const datasets = await knownDatasets(pool);
    const { rows } = await pool.query<{ digest: string }>(
      'SELECT bundle_sha256 AS digest FROM model_version',
    );
    return new Set([...datasets, ...(await openRuns(pool)), ...rows.map(({ digest }) => digest)]);
  } catch (error) {
    throw fromPostgresError(error);
  }
}

/** Every six hours one of the retrainers removes garbage that is older than a day. Disposal waits for a removal in progress. */
export function startCollecting(
  pool: Pool,
  objects: ObjectStore,
  now: () => number,
  log: Log,
): AsyncDisposable {
  let running: Promise<void> = Promise.resolve();
  const collect = async () => {
    const client = await pool.connect();
    try {
      const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1) AS mine', [
        LOCK,
      ]);
      if (!rows[0]?.mine) return;
      try {
        const { bundles, datasets, checkpoints, bytes } = await collectGarbage(pool, objects, now(), {
          ...{ minAgeMs: MIN_AGE_MS, isDryRun: false },
        });
        if (bundles + datasets + checkpoints > 0)
          log.info({ bundles, datasets, checkpoints, bytes }, 'garbage of the store was removed');
      } finally {
        await client.query('SELECT pg_advisory_unlock($1)', [LOCK]);
      }
    } finally {
      client.release();
    }
  };
  const timer = setInterval(() => {
    running = collect().catch((error: unknown) =>
      log.warn({ error }, 'garbage of the store could not be collected; it is tried again'),
    );
  }, EVERY_MS);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await running;
    },
  };
}
