import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { uuidv7 } from './batch-id.ts';
import { type BatchRun, batchOptionsSchema } from './batch-run.ts';
import { insertBatchRun } from './batch-store.ts';
import { parseLocation } from './location.ts';
import { checkSinkText } from './sink.ts';

export interface BatchRequest {
  readonly model: string;
  readonly version: string;
  readonly source: string;
  /** May hold {date} and {time}, which become the run's own. */
  readonly sink: string;
  readonly options: unknown;
  /** Empty: every request is a run of its own. */
  readonly key: string;
  readonly schedule: string | null;
  readonly caller: string;
}

export interface BatchDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  /** Calls a worker to the run; failing is no harm, since workers look by themselves too. */
  readonly wake: (runId: string) => void;
}

/**
 * Asks for a batch: resolves the version now, so that all parts use the same one. Throws NOT_FOUND, INVALID_ARGUMENT. The same
 * key again is the same run.
 */
export async function requestBatch(
  { pool, registry, wake }: BatchDependencies,
  request: BatchRequest,
  nowMs: number,
): Promise<{ run: BatchRun; created: boolean }> {
  await registry.refresh();
  const { record } = resolveVersion(registry.current(), request.model, request.version);
  parseLocation(request.source);
  checkSinkText(request.sink);
  const iso = new Date(nowMs).toISOString();
  const sink = request.sink
    .replaceAll('{date}', iso.slice(0, 10))
    .replaceAll('{time}', iso.slice(11, 19).replaceAll(':', ''));
  const runId = uuidv7(nowMs);
  const inserted = await insertBatchRun(pool, {
    runId,
    model: record.model,
    version: record.version,
    key: request.key === '' ? runId : request.key,
    source: request.source,
    sink,
    options: batchOptionsSchema.parse(request.options),
    schedule: request.schedule,
    caller: request.caller,
  });
  if (inserted.created) wake(inserted.run.runId);
  return inserted;
}
