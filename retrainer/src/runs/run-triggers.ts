import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { ModelRecord, RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { lossesOf } from '../monitoring/incidents/incident.ts';
import { listIncidents } from '../monitoring/incidents/incident-store.ts';
import { dueRun, explainTriggers, type TriggerFacts } from './due-run.ts';
import { requestRun } from './request-run.ts';

// Input: model, live version, maximum of outcomes to count. Output: one row of facts.
const FACTS = `
  SELECT
    EXISTS (SELECT 1 FROM training_run WHERE model = $1 AND kind = 'retrain' AND ended_at IS NULL) AS busy,
    (SELECT count(*) FROM training_run WHERE model = $1 AND kind = 'retrain'
       AND created_at > now() - interval '24 hours') AS runs_today,
    seen.cut,
    (SELECT count(*) FROM (
       SELECT 1 FROM outcome WHERE model = $1 AND sequence > seen.cut AND kind = 'label' LIMIT $3) few) AS new_labels,
    extract(epoch FROM coalesce(
       (SELECT max(created_at) FROM training_run WHERE model = $1 AND kind = 'retrain'),
       (SELECT created_at FROM model_version WHERE model = $1 AND version = $2),
       now())) * 1000 AS last_ms
  FROM (SELECT coalesce(max(dataset.cut), 0) AS cut FROM training_run
        JOIN dataset ON dataset.sha256 = training_run.dataset_sha256 WHERE training_run.model = $1) seen`;

/** New labels are counted up to this multiple of the trigger's number. */
const MAX_SHARES = 100;

interface FactsRow {
  readonly busy: boolean;
  readonly runs_today: string;
  readonly cut: string;
  readonly new_labels: string;
  readonly last_ms: string;
}

async function readFacts(pool: Pool, model: string, live: number, labels: number): Promise<TriggerFacts> {
  const { rows } = await pool.query<FactsRow>(FACTS, [model, live, Math.max(1, labels * MAX_SHARES)]);
  const row = rows[0]!;
  return {
    busy: row.busy,
    cut: Number(row.cut),
    newLabels: Number(row.new_labels),
    lastAt: Math.round(Number(row.last_ms)),
    runsToday: Number(row.runs_today),
    ...lossesOf(await listIncidents(pool, { model, open: true, limit: 1_000 })),
  };
}

export interface TriggerDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly clock: Clock;
  readonly log: Log;
}

/** Requests a run of one model if it is due. Returns whether it created one. */
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

/** Checks every model in turn until the signal fires. Failures are logged, and the next pass tries again. */
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

export interface WhyNot {
  readonly model: string;
  /** The trigger in the live version's model.yaml; null without one. */
  readonly trigger: Readonly<Record<string, unknown>> | null;
  /** True if the next pass will request a run. */
  readonly due: boolean;
  /** One sentence for each condition. */
  readonly reasons: readonly string[];
}

/** Explains why no run of a model was triggered. Throws NOT_FOUND. */
export async function whyNot(
  name: string,
  { pool, registry, now }: Pick<TriggerDependencies, 'pool' | 'registry'> & { readonly now: number },
): Promise<WhyNot> {
  const model = registry.current().models.get(name);
  if (!model)
    throw new HotloopError('NOT_FOUND', `model ${JSON.stringify(name.slice(0, 80))} is not registered`);
  const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
  const none = (reason: string): WhyNot => ({ model: name, trigger: null, due: false, reasons: [reason] });
  if (!live) return none('no version is live: promote one first');
  if (live.manifest.task === 'tensor')
    return none('a bare tensor model has no features and outcome to learn from');
  const trigger = live.manifest.training?.trigger;
  if (!trigger)
    return none('model.yaml declares no training.trigger: only a person starts a run (`hotloop retrain`)');
  const facts = await readFacts(pool, name, live.version, trigger.labels ?? 0);
  const due = dueRun(trigger, facts, now) !== null;
  return { model: name, trigger: { ...trigger }, due, reasons: explainTriggers(trigger, facts, now) };
}
