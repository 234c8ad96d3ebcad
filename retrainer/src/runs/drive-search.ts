import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { searchSchema } from '@hotloop/model/manifest/search-schema.ts';
import { nextTrials, roundEpochs } from '@hotloop/model/search/next-trials.ts';
import type { Point, Trial } from '@hotloop/model/search/trial.ts';
import { trainableTask } from '@hotloop/model/training/trainable-task.ts';
import { trainingSpec } from '@hotloop/model/training/training-settings.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { TrainingRun } from './run.ts';
import { createRun, listRuns } from './run-store.ts';
import { createSearch, moveSearch, openSearches, type Search } from './search-store.ts';

interface SearchDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
}

/** Name of the experiment that groups a search's runs. */
export const experimentOf = (searchId: string): string => `search-${searchId.slice(0, 8)}`;

function liveManifest(registry: RegistryReader, name: string): Manifest {
  const model = registry.current().models.get(name);
  if (!model)
    throw new HotloopError('NOT_FOUND', `model ${JSON.stringify(name.slice(0, 80))} is not registered`);
  const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
  if (!live)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `model ${name} has no live version to search from; promote one first`,
      {
        reason: 'no_live_version',
      },
    );
  return live.manifest;
}

/**
 * Starts a search over the ranges of the live version's training.search; `change` replaces some of its settings. Throws NOT_FOUND,
 * FAILED_PRECONDITION (nothing live), INVALID_ARGUMENT (no ranges).
 */
export async function requestSearch(
  model: string,
  change: Readonly<Record<string, unknown>>,
  { pool, registry }: SearchDependencies,
): Promise<Search> {
  await registry.refresh(AbortSignal.timeout(2_000)).catch(() => undefined);
  const manifest = liveManifest(registry, model);
  trainableTask(manifest);
  const declared = trainingSpec(manifest).search;
  const ranges = declared?.ranges ?? { learning_rate: { from: 1e-4, to: 1e-1, scale: 'log' } };
  const spec = searchSchema.safeParse({ ...declared, ranges, ...change });
  if (!spec.success)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `the search cannot be run: ${spec.error.issues[0]?.message ?? ''}`,
    );
  return createSearch(pool, model, spec.data, trainingSpec(manifest).seed);
}

const LABEL = /^trial \d+:\d+ (\{.*\})$/;
const MOST_RUNS = 2_000;

function trialOf(run: TrainingRun): Trial {
  const key = run.key.split(':').slice(2).join(':');
  const point = JSON.parse(LABEL.exec(run.reason)?.[1] ?? '{}') as Point;
  const loss = run.endedAt === null ? null : (run.metrics.trial_loss ?? Number.NaN);
  return { key, point, loss: run.state === 'succeeded' || loss === null ? loss : Number.NaN };
}

/** Starts the next trials of one search. Requests are idempotent, so several retrainers may do it. */
export async function stepSearch(search: Search, { pool, registry }: SearchDependencies): Promise<void> {
  const { searchId, model, spec, seed } = search;
  const experiment = experimentOf(searchId);
  const runs = await listRuns(pool, model, MOST_RUNS, experiment);
  const winnerKey = `search:${searchId}:winner`;
  const last = runs.find(({ key }) => key === winnerKey);
  if (last) {
    if (last.endedAt !== null)
      await moveSearch(
        pool,
        searchId,
        'ended',
        `${last.version === null ? `no version: ${last.state}` : `version ${last.version} is registered`}, ${last.message}`,
      );
    return;
  }
  const epochs = trainingSpec(liveManifest(registry, model)).epochs;
  const { start, winner } = nextTrials(spec, seed, runs.filter(({ kind }) => kind === 'trial').map(trialOf));
  const request = (key: string, reason: string, point: Point, round: number, kind: TrainingRun['kind']) =>
    createRun(pool, {
      ...{
        runId: randomUUID(),
        model,
        key: `search:${searchId}:${key}`,
        reason,
        hold: true,
        kind,
        experiment,
      },
      overrides: { ...point, epochs: roundEpochs(spec, round, Number(point.epochs ?? epochs)) },
    });
  for (const { key, point } of start)
    await request(key, `trial ${key} ${JSON.stringify(point)}`, point, Number(key.split(':')[0]), 'trial');
  if (winner === null)
    return moveSearch(pool, searchId, 'ended', 'every trial failed; `hotloop runs list` says why');
  if (winner === undefined) return;
  const words = `the best of ${runs.length} trials, ${JSON.stringify(winner.point)}`;
  await request('winner', words, winner.point, spec.rounds - 1, 'retrain');
  await moveSearch(pool, searchId, 'judging', `${words}, is judged on rows that no trial saw`);
}

/** Drives every open search until the signal fires. */
export async function keepSearching(
  dependencies: SearchDependencies & { readonly log: Log },
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const search of await openSearches(dependencies.pool)) await stepSearch(search, dependencies);
    } catch (error) {
      dependencies.log.warn({ error }, 'a search could not be driven; trying again');
    }
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
