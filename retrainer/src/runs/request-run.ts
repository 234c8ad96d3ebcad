import { randomUUID } from 'node:crypto';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TrainingRun } from './run.ts';
import { createRun } from './run-store.ts';

const MAX_TEXT = 500;

export interface RunRequest {
  readonly model: string;
  /** The same key returns the same run; an empty key always creates a run. */
  readonly key: string;
  readonly reason: string;
  readonly hold: boolean;
}

/**
 * Requests a training run. Throws NOT_FOUND (model), FAILED_PRECONDITION (no live version to start from, or a model that
 * cannot be trained), INVALID_ARGUMENT.
 */
export async function requestRun(
  request: RunRequest,
  pool: Pool,
  registry: RegistryReader,
): Promise<{ readonly run: TrainingRun; readonly created: boolean }> {
  for (const field of ['key', 'reason'] as const)
    if (request[field].length > MAX_TEXT || request[field].includes('\0'))
      throw new HotloopError('INVALID_ARGUMENT', `${field} must be at most ${MAX_TEXT} characters`);
  // Includes a version that was promoted a moment ago.
  await registry.refresh(AbortSignal.timeout(2_000)).catch(() => undefined);
  const model = registry.current().models.get(request.model);
  if (!model)
    throw new HotloopError(
      'NOT_FOUND',
      `model ${JSON.stringify(request.model.slice(0, 80))} is not registered`,
    );
  const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
  if (!live)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${request.model} has no live version to learn on from; promote one first`,
      { reason: 'no_live_version' },
    );
  trainableTask(live.manifest);
  const runId = randomUUID();
  return createRun(pool, { ...request, runId, key: request.key === '' ? runId : request.key });
}
