import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@hotloop/platform/clock.ts';
import { dropOldShapes } from '@hotloop/platform/postgres/event-shape-store.ts';
import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import { dropOldRefusedCalls } from '@hotloop/platform/postgres/refused-call-store.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { ModelRecord, RegistryReader, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { DAY_MS, HOUR_MS } from '@hotloop/proto/time-units.ts';
import type { Trainer } from '../improve/trainer.ts';
import { requestRun } from '../runs/request-run.ts';
import { collectLoggedRows } from './collect.ts';
import { evaluateDay, evaluateRecent, evaluateTraffic, RECENT_MS } from './evaluate-model.ts';
import { evaluateRows } from './evaluate-rows.ts';
import { evaluateSources } from './evaluate-sources.ts';
import { applySignals } from './incidents/apply-signals.ts';
import { costs, DRIFT_KINDS, type Incident } from './incidents/incident.ts';
import { insertEnded } from './incidents/incident-store.ts';
import { Investigator } from './incidents/investigate.ts';
import { deliveriesOf } from './notify/alert-body.ts';
import { type DeliverDependencies, deliverDue } from './notify/deliver.ts';
import { enqueueDeliveries } from './notify/delivery-store.ts';
import type { EvaluateQuality } from './performance/evaluate-quality.ts';
import type { NotJudged, Signal } from './signals/signal.ts';
import { dropOldSpans } from './sketches/sketch-store.ts';

/** Pauses a model's rollouts for the monitor. Returns what was done, or null if no rollout runs. */
export type PauseRollout = (model: string, reason: string) => Promise<string | null>;

export interface MonitoringDependencies extends DeliverDependencies {
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
  readonly score: Trainer['score'];
  readonly clock: Clock;
  readonly pauseRollout?: PauseRollout;
  /** Where quality is computed; by default in this thread. */
  readonly evaluateQuality?: EvaluateQuality;
}

export interface MonitoringOptions {
  readonly collectEveryMs: number;
  readonly evaluateEveryMs: number;
  readonly dayEveryMs: number;
  /** How often the messages of producers are judged. */
  readonly sourcesEveryMs: number;
  readonly deliverEveryMs: number;
  readonly closeAfterMs: number;
}

export const MONITORING_DEFAULTS: MonitoringOptions = {
  collectEveryMs: 5_000,
  evaluateEveryMs: 10_000,
  dayEveryMs: 5 * 60_000,
  sourcesEveryMs: 30_000,
  deliverEveryMs: 1_000,
  closeAfterMs: 2 * 60_000,
};

/** No comparison reads anything older. */
const SHAPES_KEPT_MS = 8 * DAY_MS;
const REFUSED_KEPT_MS = 60 * DAY_MS;
/** A longer absence of the monitor is an incident of the platform. */
const AWAY_MS = 5 * 60_000;

/** The latest results of the slower evaluations of a version. */
interface Slow {
  readonly at: number;
  readonly version: number;
  readonly signals: readonly Signal[];
  readonly notJudged: readonly NotJudged[];
}

/** The monitor of one process. Several may run, because each piece of work is locked in Postgres. */
export class Monitor implements AsyncDisposable {
  readonly #dependencies: MonitoringDependencies;
  readonly #options: MonitoringOptions;
  readonly #stop = new AbortController();
  readonly #investigator: Investigator;
  readonly #slow = new Map<string, Slow>();
  readonly #sources = new Map<string, { readonly at: number; readonly signals: readonly Signal[] }>();
  #tidiedAt = 0;
  #loops: readonly Promise<void>[] = [];

  constructor(dependencies: MonitoringDependencies, options: Partial<MonitoringOptions> = {}) {
    this.#dependencies = dependencies;
    this.#options = { ...MONITORING_DEFAULTS, ...options };
    this.#investigator = new Investigator(dependencies);
  }

  start(): this {
    const { collectEveryMs, evaluateEveryMs, deliverEveryMs } = this.#options;
    this.#loops = [
      this.#repeat('read the log', collectEveryMs, () => this.collect()),
      this.#repeat('judge the models', evaluateEveryMs, () => this.evaluate()),
      this.#repeat('deliver alarms', deliverEveryMs, () => this.deliver()),
    ];
    return this;
  }

  /** Reads all waiting rows. */
  async collect(): Promise<void> {
    const { pool, registry, clock } = this.#dependencies;
    for (;;) {
      const { more } = await collectLoggedRows(pool, registry, clock.now());
      if (!more || this.#stop.signal.aborted) break;
    }
  }

  async deliver(): Promise<number> {
    return deliverDue(this.#dependencies, this.#stop.signal);
  }

  /** Evaluates every live model; a failure of one does not affect the others. */
  async evaluate(): Promise<void> {
    const { registry, clock, log } = this.#dependencies;
    const readTo = await this.#begin();
    if (readTo === null) return;
    for (const model of registry.current().models.values()) {
      const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
      if (!live?.manifest.monitor.enabled || this.#stop.signal.aborted) continue;
      try {
        await this.#evaluateModel(model, live, readTo);
      } catch (error) {
        log.warn({ model: model.name, error }, 'a model could not be judged; trying again');
      }
    }
    await this.#tidy(clock.now());
  }

  /** Deletes data too old for any comparison, once an hour. */
  async #tidy(now: number): Promise<void> {
    const { pool } = this.#dependencies;
    if (now - this.#tidiedAt < HOUR_MS) return;
    await dropOldSpans(pool, now);
    await dropOldShapes(pool, now - SHAPES_KEPT_MS);
    await dropOldRefusedCalls(pool, now - REFUSED_KEPT_MS);
    this.#tidiedAt = now;
  }

  /** What the last evaluation of a model could not judge, and why. */
  notJudged(model: string): readonly NotJudged[] {
    return this.#slow.get(model)?.notJudged ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  /** Claims the next evaluation. Returns up to when the log has been read, or null if another monitor evaluated just now. */
  async #begin(): Promise<number | null> {
    const { pool, clock } = this.#dependencies;
    const now = clock.now();
    const { rows } = await pool.query<{ read_ms: string }>(
      `UPDATE monitor_position SET evaluated_at = to_timestamp($1 / 1000.0)
       WHERE evaluated_at <= to_timestamp($2 / 1000.0) OR evaluated_at > to_timestamp($1 / 1000.0)
       RETURNING extract(epoch FROM read_to) * 1000 AS read_ms`,
      [now, now - this.#options.evaluateEveryMs / 2],
    );
    return rows[0] ? Number(rows[0].read_ms) : null;
  }

  async #evaluateModel(model: ModelRecord, live: VersionRecord, readTo: number): Promise<void> {
    const { pool, clock } = this.#dependencies;
    const now = clock.now();
    const traffic = await evaluateTraffic(pool, model, live, readTo, now);
    const recent = await evaluateRecent(pool, live, now);
    const slow = await this.#slowOf(live, now);
    const sources = await this.#sourcesOf(live, now);
    const signals = distinct([...traffic, ...recent.signals, ...sources, ...slow.signals]);
    const isRecent = recent.signals.length > 0;
    const changes = await applySignals(
      pool,
      signals,
      this.#investigator.of(live, now - (isRecent ? RECENT_MS : DAY_MS), now, this.#stop.signal),
      {
        ...{ model: model.name, monitor: live.manifest.monitor, now },
        closeAfterMs: this.#options.closeAfterMs,
      },
    );
    for (const { model: name, id, cause, title } of changes.opened)
      this.#dependencies.log.warn({ model: name, incident: id, cause }, title);
    for (const incident of [...changes.opened, ...changes.priced]) await this.#act(incident, live);
  }

  async #sourcesOf(live: VersionRecord, now: number): Promise<readonly Signal[]> {
    const known = this.#sources.get(live.model);
    if (known && now - known.at < this.#options.sourcesEveryMs) return known.signals;
    const signals = await evaluateSources(this.#dependencies.pool, live, now);
    this.#sources.set(live.model, { at: now, signals });
    return signals;
  }

  async #slowOf(live: VersionRecord, now: number): Promise<Slow> {
    const { pool } = this.#dependencies;
    const known = this.#slow.get(live.model);
    if (known && known.version === live.version && now - known.at < this.#options.dayEveryMs) return known;
    const day = await evaluateDay(pool, live, now);
    const { manifest, version } = live;
    const question = { manifest, version, now };
    const { evaluateQuality: elsewhere } = this.#dependencies;
    const quality = elsewhere
      ? await elsewhere(question, this.#stop.signal)
      : await evaluateRows(pool, question);
    const slow = {
      ...{ at: now, version: live.version, notJudged: day.notJudged },
      signals: [...day.signals, ...quality],
    };
    this.#slow.set(live.model, slow);
    return slow;
  }

  /** The effects of an incident whose cost is known: it starts a training run, or pauses a rollout. */
  async #act(incident: Incident, live: VersionRecord): Promise<void> {
    const { pool, registry, pauseRollout } = this.#dependencies;
    const { decay } = live.manifest.monitor;
    const hasLoss = costs(incident) && (incident.cost?.loss ?? 0) >= decay.at_least;
    if (!hasLoss) return;
    const done: string[] = [];
    if (decay.pause_rollout && pauseRollout) {
      const paused = await pauseRollout(incident.model, `incident ${incident.id}: ${incident.title}`);
      if (paused !== null) done.push(paused);
    }
    const isAboutQuality = incident.signals.some(({ kind }) => kind === 'decay' || DRIFT_KINDS.has(kind));
    if (decay.retrain && isAboutQuality) {
      const request = { model: incident.model, key: `incident:${incident.id}`, hold: false };
      const { run } = await requestRun(
        { ...request, reason: `incident: ${incident.title}`.slice(0, 500) },
        pool,
        registry,
      );
      done.push(`started training run ${run.runId}`);
    }
    if (done.length > 0)
      await pool.query(
        `UPDATE incident SET evidence = evidence || jsonb_build_object('action', $2::text) WHERE id = $1`,
        [incident.id, done.join('; ')],
      );
  }

  async #repeat(what: string, everyMs: number, work: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await work().catch((error: unknown) => {
        if (!signal.aborted)
          this.#dependencies.log.warn({ error }, `the monitor could not ${what}; trying again`);
      });
      await sleep(everyMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** Keeps one signal for each kind, feature, slice and changed field: the first, which is the newest. */
function distinct(signals: readonly Signal[]): Signal[] {
  const seen = new Set<string>();
  return signals.filter(({ kind, feature, source, slice, producer }) => {
    const where = producer ? `${producer.topic} ${producer.field}` : feature === null ? source : '';
    const key = `${kind} ${feature} ${where} ${slice ?? ''}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/**
 * Opens an incident of the platform after minutes without a working monitor, and sends it to all receivers of live models'
 * alarms. If several monitors start at once, only one sends it.
 */
export async function reportAbsence(
  pool: Pool,
  registry: RegistryReader,
  now: number,
  notBefore = AWAY_MS,
): Promise<void> {
  await transaction(pool, async (client) => {
    const { rows } = await client.query<{ ms: string }>(
      'SELECT extract(epoch FROM heartbeat_at) * 1000 AS ms FROM monitor_position FOR UPDATE',
    );
    const last = Number(rows[0]?.ms ?? now);
    if (now - last < notBefore) return;
    await client.query('UPDATE monitor_position SET heartbeat_at = to_timestamp($1 / 1000.0)', [now]);
    const minutes = Math.round((now - last) / 60_000);
    const title = `no monitor worked for ${minutes} minutes; nothing was watched`;
    const incident = await insertEnded(client, { cause: 'platform:monitor', title }, last, now);
    const receivers = [...registry.current().models.values()].flatMap(({ liveVersion, versions }) => {
      const live = liveVersion === null ? undefined : versions.get(liveVersion);
      return live?.manifest.monitor.enabled ? live.manifest.monitor.notify : [];
    });
    // A receiver that was not notified of the start is not notified of the end either.
    const begun = { ...incident, state: 'open' as const, closedAt: null, transition: 1 };
    for (const told of [begun, incident]) await enqueueDeliveries(client, deliveriesOf(told, receivers));
  });
}
