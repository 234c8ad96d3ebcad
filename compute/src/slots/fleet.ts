import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistrySnapshot, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { within } from '@hotloop/platform/within.ts';
import type { Work } from '../batching/batcher.ts';
import type { VersionTally } from '../metrics/version-tally.ts';
import type { VersionReport } from '../nodes/node-report.ts';
import { Confinements } from '../runner/confinement.ts';
import { Admission } from './admission.ts';
import { KeptVersions } from './kept-versions.ts';
import { type KnownVersion, KnownVersions } from './known-versions.ts';
import { notInTime, notServed } from './not-served.ts';
import { RecentInputs } from './recent-inputs.ts';
import { type Serving, Slot } from './slot.ts';
import { SLOT_DEFAULTS, type SlotOptions } from './slot-options.ts';
import { type PinnedVersions, pinnedVersions, wantedVersions } from './wanted-versions.ts';

export interface FleetAdapters {
  readonly store: BundleStore;
  readonly clock: Clock;
  readonly log: Log;
  onChange(): void;
  onKiller(slot: Slot, work: Work): void;
  /** The counters of a version's work. */
  tallyOf?(record: VersionRecord): VersionTally;
}

export interface FleetOptions extends SlotOptions {
  /** Memory that all runners together may use. */
  readonly memoryBudgetBytes: number;
  /** Versions that load at the same time; others wait. */
  readonly loadsAtOnce: number;
  /** Idle time after which a version that was loaded because a request named it is unloaded. */
  readonly idleMs: number;
  /**
   * Idle time after which the live and the previous version are unloaded, if neither was used; the next request loads
   * them again. 0: never.
   */
  readonly idleUnloadMs: number;
}

export const FLEET_DEFAULTS = {
  ...SLOT_DEFAULTS,
  loadsAtOnce: 2,
  idleMs: 600_000,
  idleUnloadMs: 3_600_000,
} as const;
/** Maximum delay of the answer to expired work. */
const SWEEP_MS = 10;
/** Interval without work, when only idle versions are looked for. */
const RESTING_SWEEP_MS = 250;

/**
 * All versions that this node holds. It follows the registry: the live, previous and target version of each model and
 * the versions of its rollouts are wanted; others are loaded when a request names them. To stay within the memory
 * budget, the least recently used versions are evicted, and so are versions that were idle for long; a request loads
 * them again. A version that is no longer wanted drains, unless it becomes wanted again meanwhile.
 */
export class Fleet implements AsyncDisposable {
  readonly recent = new RecentInputs();
  readonly #adapters: FleetAdapters;
  readonly #options: FleetOptions;
  readonly #slots = new Map<string, Map<number, Slot>>();
  readonly #admission: Admission;
  readonly #confinements: Confinements;
  #sweeper: NodeJS.Timeout | undefined;
  #isResting = true;
  readonly #known = new KnownVersions();
  /**
   * Versions that were evicted, or not loaded because memory was short. They are loaded again only for a request, and
   * stay in this set until then.
   */
  readonly #evicted = new Set<string>();
  readonly #kept = new KeptVersions();
  #snapshot: RegistrySnapshot = { models: new Map() };
  #pinned: PinnedVersions = new Map();
  #closed = false;

  constructor(adapters: FleetAdapters, options: FleetOptions) {
    this.#adapters = adapters;
    this.#options = options;
    this.#confinements = new Confinements(adapters.log);
    this.#admission = new Admission(options, {
      clock: adapters.clock,
      log: adapters.log,
      slots: () => this.slots(),
      worthOf: (record) => this.#worthOf(record),
      evict: (slot) => this.#evict(slot),
    });
    this.#sweepIn(RESTING_SWEEP_MS);
  }

  find(model: string, version: number): Slot | undefined {
    return this.#slots.get(model)?.get(version);
  }

  *slots(): Generator<Slot> {
    for (const versions of this.#slots.values()) yield* versions.values();
  }

  /**
   * The version's model and queue: at once if it accepts work, otherwise after loading, which this call starts if
   * necessary. Throws or rejects NOT_FOUND, UNAVAILABLE (it cannot be loaded), DEADLINE_EXCEEDED.
   */
  acquire(model: string, version: number, timeoutMs: number): Serving | Promise<Serving> {
    return (
      this.find(model, version)?.serving ?? this.#load(model, version, timeoutMs, (cold) => cold.settled)
    );
  }

  /**
   * True when a request for the version would be answered: it is ready, or it is wanted but evicted, and the request
   * loads it again.
   */
  isServed(record: VersionRecord): boolean {
    if (this.find(record.model, record.version)?.state === 'ready') return true;
    const isWanted = this.#hasRole(record) || this.#kept.has(keyOf(record));
    return isWanted && this.#evicted.has(keyOf(record)) && !this.#closed;
  }

  /** What is known about the version from its last load; undefined when it was never loaded. */
  known(record: VersionRecord): KnownVersion | undefined {
    return this.#known.find(record);
  }

  /**
   * As `known`, for any registered version: one that was never loaded is loaded, as for a request. Rejects as
   * `acquire`.
   */
  async describe(record: VersionRecord, timeoutMs: number): Promise<KnownVersion> {
    const known = this.#known.find(record);
    if (known) return known;
    const { model, version } = record;
    await this.acquire(model, version, timeoutMs);
    const loaded = this.#known.find(record);
    if (!loaded) throw notServed(model, version, undefined);
    return loaded;
  }

  /** Call with each piece of work for a version: from then on its deadline is watched. */
  use(slot: Slot, now: number): void {
    slot.lastUsedAt = now;
    if (this.#isResting && !this.#closed) this.#sweepIn(SWEEP_MS);
  }

  /**
   * Loads a version and keeps it loaded until it is released. Rejects as `acquire`, and as soon as the first attempt
   * to load fails. A load that takes longer than the caller waits continues, as for a request.
   */
  async keep(record: VersionRecord, timeoutMs: number): Promise<void> {
    const { model, version } = record;
    try {
      await this.#kept.keep(keyOf(record), async () => {
        // A version that failed before and waits for its next try is tried now.
        this.find(model, version)?.handle('retry');
        const { slot } = await this.#load(model, version, timeoutMs, (loading) => loading.attempted);
        // A version that lost its runners also accepts work, which waits for new ones.
        if (slot.state !== 'ready') throw notServed(model, version, slot);
      });
    } catch (error) {
      const slot = this.find(model, version);
      const isWanted = this.#hasRole(record) || this.#kept.has(keyOf(record));
      if (slot?.state === 'failed' && !isWanted && !slot.isWaitedFor()) slot.handle('unwanted');
      throw error;
    }
  }

  release(record: VersionRecord): void {
    this.#kept.release(keyOf(record));
    const slot = this.find(record.model, record.version);
    if (!slot || this.#hasRole(record)) return;
    // Without this, a version loaded for a request would stay for its idle time.
    slot.lastUsedAt = Number.NEGATIVE_INFINITY;
    slot.handle('unwanted');
  }

  /** Loads wanted versions that are missing, and unloads versions that are no longer wanted. */
  follow(snapshot: RegistrySnapshot): void {
    if (this.#closed) return;
    this.#snapshot = snapshot;
    this.#pinned = pinnedVersions(snapshot);
    for (const slot of [...this.slots()]) slot.handle(this.#isWanted(slot) ? 'wanted' : 'unwanted');
    for (const model of snapshot.models.values())
      for (const record of wantedVersions(model, this.#pinned)) {
        if (record.version === model.targetVersion) this.#evicted.delete(keyOf(record));
        if (this.#evicted.has(keyOf(record)) || this.find(record.model, record.version)) continue;
        this.#open(record).handle('wanted');
      }
    this.#known.keepOnly(snapshot);
    this.recent.keepOnly(snapshot);
  }

  reports(): VersionReport[] {
    return [...this.slots()].map((slot) => ({
      model: slot.record.model,
      version: slot.record.version,
      state: slot.state,
      memoryBytes: slot.memoryBytes(),
      detail: slot.detail,
      reason: slot.reason,
    }));
  }

  /** Number of requests waiting or running on this node. */
  inFlight(): number {
    let count = 0;
    for (const slot of this.slots()) count += slot.serving?.batcher.inFlight ?? 0;
    return count;
  }

  /**
   * Call regularly: measures the memory of every runner, and probes versions for run sharing where it is not yet
   * known.
   */
  async tend(): Promise<void> {
    await Promise.all([...this.slots()].flatMap((slot) => [slot.measure(), slot.probe()]));
  }

  /** Ends every runner at once. Work in flight fails, so drain first. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#sweeper);
    this.#admission.close();
    await Promise.all([...this.slots()].map((slot) => slot.close()));
  }

  /** Waits until the version accepts work, `end` of its slot has resolved, or the timeout has passed. */
  async #load(
    model: string,
    version: number,
    timeoutMs: number,
    end: (slot: Slot) => Promise<void>,
  ): Promise<Serving> {
    const record = this.#snapshot.models.get(model)?.versions.get(version);
    let slot = this.find(model, version);
    if (!slot) {
      if (!record || this.#closed) throw notServed(model, version, undefined);
      slot = this.#open(record);
    }
    slot.lastUsedAt = this.#adapters.clock.monotonic();
    slot.isDemanded = true;
    slot.handle('wanted');
    slot.waiting++;
    const isLate = await within(
      end(slot).then(() => false),
      timeoutMs,
      () => true,
    );
    slot.waiting--;
    if (slot.serving) return slot.serving;
    throw isLate && slot.detail === '' ? notInTime(model, version) : notServed(model, version, slot);
  }

  #isWanted(slot: Slot): boolean {
    const { record } = slot;
    if (this.#hasRole(record) || this.#kept.has(keyOf(record))) return true;
    if (!slot.isDemanded || !slot.isOnDemand) return false;
    // A version that fails repeatedly takes memory from others at each try, so it is given up earlier.
    const { idleMs, maxRetryMs } = this.#options;
    const mostIdleMs = slot.state === 'failed' ? Math.min(idleMs, maxRetryMs) : idleMs;
    return slot.isWaitedFor() || this.#adapters.clock.monotonic() - slot.lastUsedAt < mostIdleMs;
  }

  /**
   * True for the live, previous and target version of a model, its versions in rollouts, and those that pipelines
   * use.
   */
  #hasRole(record: VersionRecord): boolean {
    const model = this.#snapshot.models.get(record.model);
    if (model === undefined) return false;
    return wantedVersions(model, this.#pinned).some((wanted) => wanted.version === record.version);
  }

  /** Eviction priority: when memory is short, versions with a higher value are evicted later. */
  #worthOf(record: VersionRecord): number {
    const model = this.#snapshot.models.get(record.model);
    if (record.version === model?.targetVersion) return 3;
    if (model?.rollouts?.some(({ arms }) => arms.some(({ version }) => version === record.version))) return 2;
    if (record.version === model?.liveVersion || this.#kept.has(keyOf(record))) return 2;
    return record.version === model?.previousVersion ? 1 : 0;
  }

  /** Unloads a version until a request for it comes. Resolves when its processes have ended. */
  async #evict(slot: Slot): Promise<void> {
    this.#evicted.add(keyOf(slot.record));
    await slot.close();
  }

  #open(record: VersionRecord): Slot {
    const { store, clock, log } = this.#adapters;
    const slot = new Slot(
      record,
      {
        store,
        recent: this.recent,
        confinements: this.#confinements,
        clock,
        log,
        admit: (asking, bytes, signal) => this.#admission.admit(asking, bytes, signal),
        onChange: (changed) => this.#changed(changed),
        onKiller: (killed, work) => {
          this.recent.drop(killed.record.model, work.inputs);
          this.#adapters.onKiller(killed, work);
        },
      },
      this.#options,
      !this.#hasRole(record),
    );
    slot.statistics.tally = this.#adapters.tallyOf?.(record);
    const versions = this.#slots.get(record.model) ?? new Map<number, Slot>();
    this.#slots.set(record.model, versions.set(record.version, slot));
    return slot;
  }

  #changed(slot: Slot): void {
    const { model, version } = slot.record;
    this.#admission.changed(slot);
    if (slot.state === 'ready' && slot.serving) this.#known.remember(slot.serving);
    if (slot.state === 'ready' || slot.state === 'failed') this.#evicted.delete(keyOf(slot.record));
    if (slot.state === 'gone') {
      if (slot.isEvicted) this.#evicted.add(keyOf(slot.record));
      const versions = this.#slots.get(model);
      if (versions?.get(version) === slot) versions.delete(version);
      if (versions?.size === 0) this.#slots.delete(model);
      // Answers during draining may have added inputs after the model was deleted.
      this.recent.keepOnly(this.#snapshot);
    }
    const { state, detail } = slot;
    this.#adapters.log.info({ model, version, state, detail }, 'a version changed state');
    this.#adapters.onChange();
  }

  #sweepIn(ms: number): void {
    clearTimeout(this.#sweeper);
    this.#isResting = ms > SWEEP_MS;
    this.#sweeper = setTimeout(() => {
      this.#sweep();
      this.#sweepIn(this.inFlight() > 0 ? SWEEP_MS : RESTING_SWEEP_MS);
    }, ms);
  }

  #sweep(): void {
    for (const slot of [...this.slots()]) {
      slot.serving?.batcher.sweep();
      const isAtRest = slot.state === 'ready' || slot.state === 'failed';
      if (slot.isOnDemand && isAtRest && !this.#isWanted(slot)) slot.handle('unwanted');
    }
    if (this.#isResting) this.#unloadIdle();
  }

  /**
   * Evicts the live and the previous version of every model that was idle for long. Models with a rollout keep all
   * their versions loaded.
   */
  #unloadIdle(): void {
    const { idleUnloadMs } = this.#options;
    if (idleUnloadMs === 0) return;
    const since = this.#adapters.clock.monotonic() - idleUnloadMs;
    for (const [name, versions] of this.#slots) {
      const model = this.#snapshot.models.get(name);
      if (model?.targetVersion !== null || (model.rollouts ?? []).length > 0) continue;
      const slots = [...versions.values()];
      if (slots.some((slot) => slot.isWaitedFor() || slot.lastUsedAt > since)) continue;
      for (const slot of slots) {
        if (slot.state !== 'ready' || !this.#hasRole(slot.record) || this.#kept.has(keyOf(slot.record)))
          continue;
        this.#adapters.log.info(
          { model: name, version: slot.record.version, idleUnloadMs },
          'an idle version is unloaded; a request loads it again',
        );
        void this.#evict(slot);
      }
    }
  }
}

function keyOf(record: VersionRecord): string {
  return `${record.model} ${record.version}`;
}
