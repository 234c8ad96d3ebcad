import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { ModelRecord, RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { newestCut } from '../datasets/dataset-store.ts';
import { lossesOf } from '../monitoring/incidents/incident.ts';
import { listIncidents } from '../monitoring/incidents/incident-store.ts';
import { countNewLabels } from '../outcomes/outcome-store.ts';
import { findVersion } from '../registry/version-store.ts';
import { dueRun, explainTriggers, type TriggerFacts } from './due-run.ts';
import { requestRun } from './request-run.ts';

// Input: model. Output: one row of facts.
const FACTS = `
  SELECT count(*) FILTER (WHERE ended_at IS NULL) > 0 AS busy,
    count(*) FILTER (WHERE created_at > now() - interval '24 hours') AS runs_today,
    extract(epoch FROM max(created_at)) * 1000 AS last_ms
  FROM training_run WHERE model = $1 AND kind = 'retrain'`;

/** New labels are counted up to this multiple of the trigger's number. */
const MAX_SHARES = 100;

interface FactsRow {
  readonly busy: boolean;
  readonly runs_today: string;
  /** Null before the first run. */
  readonly last_ms: string | null;
}

async function readFacts(pool: Pool, model: string, live: number, labels: number): Promise<TriggerFacts> {
  const { rows } = await pool.query<FactsRow>(FACTS, [model]);
  const row = rows[0]!;
  const cut = await newestCut(pool, model);
  const newLabels = await countNewLabels(pool, model, cut, Math.max(1, labels * MAX_SHARES));
  const lastAt =
    row.last_ms === null ? (await findVersion(pool, model, live)).createdAt : Math.round(Number(row.last_ms));
  return {
    busy: row.busy,
    ...{ cut, newLabels, lastAt },
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
