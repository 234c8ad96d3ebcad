import { setTimeout as sleep } from 'node:timers/promises';
import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { TrainingSpec } from '@hotloop/model/manifest/manifest.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { ModelRecord, RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { requestRun } from './request-run.ts';

export type TriggerSpec = NonNullable<TrainingSpec['trigger']>;

/** What a trigger looks at. Times are milliseconds since 1970. */
export interface TriggerFacts {
  /** A run of the model has not ended. */
  readonly busy: boolean;
  /** Sequence of the newest outcome that any dataset of the model could have held. */
  readonly cut: number;
  /** Outcomes after it. */
  readonly newLabels: number;
  /** When the last run was asked for, or else when the live version was registered. */
  readonly lastAt: number;
}

export interface DueRun {
  /** The same for whoever sees the same facts, so that several retrainers ask for one run. */
  readonly key: string;
  readonly reason: string;
}

/** Whether a run is due, and why. Pure. A failed run is not asked for again on the same labels. */
export function dueRun(trigger: TriggerSpec, facts: TriggerFacts, now: number): DueRun | null {
  if (facts.busy) return null;
  if (trigger.labels !== undefined && facts.newLabels >= trigger.labels) {
    const share = Math.floor(facts.newLabels / trigger.labels);
    return { key: `labels:${facts.cut}:${share}`, reason: `${facts.newLabels} new outcomes` };
  }
  if (trigger.every !== undefined && now - facts.lastAt >= durationMs(trigger.every))
    return { key: `every:${facts.lastAt}`, reason: `${trigger.every} since the last run` };
  return null;
}

// Input: model, live version, how many outcomes are worth counting. Output: one row of facts.
const FACTS = `
  SELECT
    EXISTS (SELECT 1 FROM training_run WHERE model = $1 AND ended_at IS NULL) AS busy,
    seen.cut,
    (SELECT count(*) FROM (
       SELECT 1 FROM outcome WHERE model = $1 AND sequence > seen.cut AND kind = 'label' LIMIT $3) few) AS new_labels,
    extract(epoch FROM coalesce(
       (SELECT max(created_at) FROM training_run WHERE model = $1),
       (SELECT created_at FROM model_version WHERE model = $1 AND version = $2),
       now())) * 1000 AS last_ms
  FROM (SELECT coalesce(max(dataset.cut), 0) AS cut FROM training_run
        JOIN dataset ON dataset.sha256 = training_run.dataset_sha256 WHERE training_run.model = $1) seen`;

/** How many shares of new labels are told apart; more are one. */
const MAX_SHARES = 100;

async function readFacts(pool: Pool, model: string, live: number, labels: number): Promise<TriggerFacts> {
  const { rows } = await pool.query<{ busy: boolean; cut: string; new_labels: string; last_ms: string }>(
    FACTS,
    [model, live, labels * MAX_SHARES],
  );
  const row = rows[0]!;
  return {
    busy: row.busy,
    cut: Number(row.cut),
    newLabels: Number(row.new_labels),
    lastAt: Math.round(Number(row.last_ms)),
  };
}

export interface TriggerDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly clock: Clock;
  readonly log: Log;
}

/** Looks at one model and asks for a run where one is due. Returns whether it asked for a new one. */
export async function triggerModel(model: ModelRecord, dependencies: TriggerDependencies): Promise<boolean> {
  const { pool, registry, clock, log } = dependencies;
  const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
  const trigger = live?.manifest.training?.trigger;
  if (!live || !trigger || live.manifest.task === 'tensor') return false;
  const facts = await readFacts(pool, model.name, live.version, trigger.labels ?? 0);
  const due = dueRun(trigger, facts, clock.now());
  if (!due) return false;
  const { run, created } = await requestRun({ ...due, model: model.name, hold: false }, pool, registry);
  if (created) log.info({ model: model.name, runId: run.runId }, `a training run is due: ${due.reason}`);
  return created;
}

/** Looks at every model in turn until the signal fires. Failures are logged and tried again. */
export async function keepTriggering(
  dependencies: TriggerDependencies,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    for (const model of dependencies.registry.current().models.values())
      await triggerModel(model, dependencies).catch((error: unknown) =>
        dependencies.log.warn({ model: model.name, error }, 'a trigger could not be looked at; trying again'),
      );
    await sleep(everyMs, undefined, { signal }).catch(() => undefined);
  }
}
