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
  /** Where a version's work is counted. */
  tallyOf?(record: VersionRecord): VersionTally;
}

export interface FleetOptions extends SlotOptions {
  /** Memory that all runners together may take. */
  readonly memoryBudgetBytes: number;
  /** Versions that load at the same time; more wait. */
  readonly loadsAtOnce: number;
  /** A version that was loaded because a request named it is unloaded when it was not used for so long. */
  readonly idleMs: number;
  /** The live and the previous version are unloaded when neither was used for so long; the next request loads them again. 0: never. */
  readonly idleUnloadMs: number;
}

export const FLEET_DEFAULTS = {
  ...SLOT_DEFAULTS,
  loadsAtOnce: 2,
  idleMs: 600_000,
  idleUnloadMs: 3_600_000,
} as const;
/** How late an answer to expired work may be. */
const SWEEP_MS = 10;
/** While there is no work, only idle versions are looked for. */
const RESTING_SWEEP_MS = 250;

/**
 * All versions that this node holds. Follows the registry: the live, the previous and the target version of each model are wanted, and those of
 * its rollouts; others are loaded when a request names them. To stay within the memory budget the least recently used are evicted, and so are
 * versions that were not used for long; a request loads them again. A version that is no longer wanted drains, unless it is wanted again
 * meanwhile.
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
  /** Evicted, or not loaded because memory was short: not loaded again until a request comes, and in here until it is loaded. */
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
   * What the version answers with: at once where it takes work; otherwise when it has been loaded, which this begins where it must.
   * Throws or rejects NOT_FOUND, UNAVAILABLE (it cannot be loaded), DEADLINE_EXCEEDED.
   */
  acquire(model: string, version: number, timeoutMs: number): Serving | Promise<Serving> {
    return (
      this.find(model, version)?.serving ?? this.#load(model, version, timeoutMs, (cold) => cold.settled)
    );
  }

  /** True when a request for the version is answered: it is ready, or it is wanted and evicted, and the request loads it again. */
  isServed(record: VersionRecord): boolean {
    if (this.find(record.model, record.version)?.state === 'ready') return true;
    const isWanted = this.#hasRole(record) || this.#kept.has(keyOf(record));
    return isWanted && this.#evicted.has(keyOf(record)) && !this.#closed;
  }

  /** What was found out about the version when it was loaded last; undefined when it never was. */
  known(record: VersionRecord): KnownVersion | undefined {
    return this.#known.find(record);
  }

  /** The same for any registered version: one that was never loaded is loaded, as for a request. Rejects as `acquire`. */
  async describe(record: VersionRecord, timeoutMs: number): Promise<KnownVersion> {
    const known = this.#known.find(record);
    if (known) return known;
    const { model, version } = record;
    await this.acquire(model, version, timeoutMs);
    const loaded = this.#known.find(record);
    if (!loaded) throw notServed(model, version, undefined);
    return loaded;
  }

  /** To be called with each piece of work for a version: from then on its deadline is watched. */
  use(slot: Slot, now: number): void {
    slot.lastUsedAt = now;
    if (this.#isResting && !this.#closed) this.#sweepIn(SWEEP_MS);
  }

  /**
   * Loads a version and keeps it until it is released. Rejects as `acquire`, and as soon as loading has failed once; then
   * it is not tried again for this caller. A load that takes longer than the caller waits goes on as for a request.
   */
  async keep(record: VersionRecord, timeoutMs: number): Promise<void> {
    const { model, version } = record;
    try {
      await this.#kept.keep(keyOf(record), async () => {
        // One that failed before and waits for its next try is tried now.
        this.find(model, version)?.handle('retry');
        const { slot } = await this.#load(model, version, timeoutMs, (loading) => loading.attempted);
        // One that lost its runners takes work too, which waits for new ones.
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
    // A version that a request has loaded stays for a while after its last use; that time is over.
    slot.lastUsedAt = Number.NEGATIVE_INFINITY;
    slot.handle('unwanted');
  }

  /** Loads versions that are missing, and lets go of those that nobody wants. */
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

  /** Work that waits or runs on this node. */
  inFlight(): number {
    let count = 0;
    for (const slot of this.slots()) count += slot.serving?.batcher.inFlight ?? 0;
    return count;
  }

  /** To be called regularly: measures the memory of every runner, and finds out what is still unknown about versions. */
  async tend(): Promise<void> {
    await Promise.all([...this.slots()].flatMap((slot) => [slot.measure(), slot.probe()]));
  }

  /** Ends every runner at once. Work in flight fails: drain before. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#sweeper);
    this.#admission.close();
    await Promise.all([...this.slots()].map((slot) => slot.close()));
  }

  /** Until the version takes work, `end` of its slot has resolved, or the time is over. */
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
    // One that fails again and again takes memory from others at each try.
    const { idleMs, maxRetryMs } = this.#options;
    const mostIdleMs = slot.state === 'failed' ? Math.min(idleMs, maxRetryMs) : idleMs;
    return slot.isWaitedFor() || this.#adapters.clock.monotonic() - slot.lastUsedAt < mostIdleMs;
  }

  /** True for the live, the previous and the target version of a model, its versions in rollouts, and those that pipelines ask. */
  #hasRole(record: VersionRecord): boolean {
    const model = this.#snapshot.models.get(record.model);
    if (model === undefined) return false;
    return wantedVersions(model, this.#pinned).some((wanted) => wanted.version === record.version);
  }

  /** The higher, the later it is evicted when memory is short. */
  #worthOf(record: VersionRecord): number {
    const model = this.#snapshot.models.get(record.model);
    if (record.version === model?.targetVersion) return 3;
    if (model?.rollouts?.some(({ arms }) => arms.some(({ version }) => version === record.version))) return 2;
    if (record.version === model?.liveVersion || this.#kept.has(keyOf(record))) return 2;
    return record.version === model?.previousVersion ? 1 : 0;
  }

  /** Unloads an idle version until a request comes for it. Resolves when its processes have ended. */
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
      // Inputs that it answered while it drained may have come after its model was deleted.
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

  /** Evicts the live and the previous version of every model that nobody has used for long. Rollouts keep all their versions loaded. */
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
          'a version that nobody used for long is unloaded; a request loads it again',
        );
        void this.#evict(slot);
      }
    }
  }
}

function keyOf(record: VersionRecord): string {
  return `${record.model} ${record.version}`;
}
