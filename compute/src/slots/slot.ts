import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { ownDomains } from '@hotloop/model/onnx/remote-interface.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { releaseBytes } from '@hotloop/platform/release-bytes.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { Batcher, type Work } from '../batching/batcher.ts';
import type { Confinements } from '../runner/confinement.ts';
import type { ExecutionProvider, LoadedModel } from '../runner/load-options.ts';
import { Backoff } from './backoff.ts';
import type { RecentInputs } from './recent-inputs.ts';
import { RunSharing } from './run-sharing.ts';
import { SlotFailure } from './slot-failure.ts';
import { executionProvidersOf, type SlotOptions } from './slot-options.ts';
import { SlotStatistics } from './slot-statistics.ts';
import { SLOT_TABLE, type SlotEvent, type SlotState } from './slot-table.ts';
import { VersionRunners } from './version-runners.ts';

export interface SlotAdapters {
  readonly store: BundleStore;
  readonly recent: RecentInputs;
  readonly confinements: Confinements;
  readonly clock: Clock;
  readonly log: Log;
  /** Resolves when there is memory for it; rejects RESOURCE_EXHAUSTED. */
  admit(slot: Slot, onnxBytes: number, signal: AbortSignal): Promise<void>;
  /** Called after every change of state. */
  onChange(slot: Slot): void;
  onKiller(slot: Slot, work: Work): void;
}

/**
 * What a version needs to serve, always complete. It exists from the first time the version is ready until it is
 * gone, also while lost runners are replaced: its queue waits for them.
 */
export interface Serving {
  readonly slot: Slot;
  /** Inputs and outputs as the runtime reports them. */
  readonly model: LoadedModel;
  /** Accepts work; rejects it once the version is gone. */
  readonly batcher: Batcher;
  readonly sharing: RunSharing;
}

/** A state with the data that exists in it. */
type Phase =
  | { readonly state: 'cold' }
  /** `serving` exists if this is not the first load. */
  | { readonly state: 'loading' | 'warming'; readonly serving: Serving | undefined }
  | { readonly state: 'ready' | 'draining'; readonly serving: Serving }
  /** `serving` exists if it was ready before and a retry follows. */
  | { readonly state: 'failed'; readonly serving: Serving | undefined }
  /** `isEvicted`: there was no memory for it and no request waited. */
  | { readonly state: 'gone'; readonly isEvicted: boolean };

/**
 * One version of a model on this node, from cold to gone. Owns its runners and its queue. Moves by the table in
 * slot-table.ts; what each state does is in `#enter`.
 */
export class Slot {
  readonly record: VersionRecord;
  readonly statistics = new SlotStatistics();
  readonly #adapters: SlotAdapters;
  readonly #options: SlotOptions;
  readonly #log: Log;
  readonly #end = new AbortController();
  readonly #settled = Promise.withResolvers<void>();
  #attempt = Promise.withResolvers<void>();
  #phase: Phase = { state: 'cold' };
  readonly #failure: SlotFailure;
  #runners: VersionRunners | undefined;
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<void> = Promise.resolve();
  #isEvicted = false;
  /** Callers that wait until it accepts work. Accepted work is counted by its batcher. */
  waiting = 0;
  /** True once a request has waited for it; then it may evict versions of equal worth. */
  isDemanded = false;
  /** Monotonic clock, milliseconds. The least recently used version is unloaded first. */
  lastUsedAt = 0;
  /** True when it was loaded by a request and not for a role in the registry. */
  readonly isOnDemand: boolean;

  constructor(record: VersionRecord, adapters: SlotAdapters, options: SlotOptions, isOnDemand = false) {
    this.record = record;
    this.isOnDemand = isOnDemand;
    this.lastUsedAt = adapters.clock.monotonic();
    this.#adapters = adapters;
    this.#options = options;
    this.#failure = new SlotFailure(new Backoff(options, adapters.clock));
    this.#log = adapters.log.child({ model: record.model, version: record.version });
  }

  get state(): SlotState {
    return this.#phase.state;
  }

  /** Why it failed, in words for callers. */
  get detail(): string {
    return this.#failure.detail;
  }

  /** The failure's reason as a code, such as golden_mismatch; empty without one. */
  get reason(): string {
    return this.#failure.reason;
  }

  /** Undefined until it is ready for the first time, after a final failure, and when it is gone. */
  get serving(): Serving | undefined {
    return 'serving' in this.#phase ? this.#phase.serving : undefined;
  }

  /** True when it is gone because there was no memory for it and no request waited. */
  get isEvicted(): boolean {
    return this.#phase.state === 'gone' && this.#phase.isEvicted;
  }

  /** Execution providers: those of its manifest, else those of the node. */
  get executionProviders(): readonly ExecutionProvider[] {
    return executionProvidersOf(this.record, this.#options);
  }

  get runnerPids(): readonly number[] {
    return this.#runners?.pids ?? [];
  }

  memoryBytes(): number {
    return this.#runners?.memoryBytes() ?? 0;
  }

  /** Resolves when it is first ready, has failed finally, or is gone. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Resolves when it is ready, has failed once (finally or not), or is gone. */
  get attempted(): Promise<void> {
    return this.#attempt.promise;
  }

  handle(event: SlotEvent): void {
    const next = SLOT_TABLE[this.state][event];
    if (next === this.state) return;
    const { serving } = this;
    this.#phase = this.#phaseOf(next);
    this.#enter(next, serving);
    this.#adapters.onChange(this);
  }

  isWaitedFor(): boolean {
    return this.waiting > 0 || (this.serving?.batcher.inFlight ?? 0) > 0;
  }

  /** Measures the memory of the serving runners. One that exceeds its limit is killed and replaced. */
  async measure(): Promise<void> {
    await this.#runners?.measure();
  }

  /** Tries again to find out whether requests may share a run, if the warm-up could not. */
  async probe(): Promise<void> {
    if (this.#phase.state === 'ready') await this.#phase.serving.sharing.probe();
  }

  /** Ends it now, in whatever state it is. Resolves when its processes have ended. */
  async close(): Promise<void> {
    this.handle('unwanted');
    if (this.state !== 'gone') {
      this.serving?.batcher.close(
        new HotloopError('UNAVAILABLE', 'the service is stopping', { reason: 'shutting_down' }),
      );
      void this.#runners?.end();
      this.handle('lost');
    }
    await Promise.all([this.#runners?.end(), this.#loading]);
  }

  /** The data of the next state, from that of this one. */
  #phaseOf(state: SlotState): Phase {
    const { serving } = this;
    switch (state) {
      case 'cold':
        return { state };
      case 'loading':
      case 'warming':
      case 'failed':
        return { state, serving };
      case 'ready':
      case 'draining':
        // The table reaches these states only through `warmed`, which sets `serving`.
        if (!serving) throw new Error(`a version cannot be ${state} before it was warmed up`);
        return { state, serving };
      case 'gone':
        return { state, isEvicted: this.#isEvicted };
    }
  }

  /** `serving` is that of the previous state. */
  #enter(state: SlotState, serving: Serving | undefined): void {
    clearTimeout(this.#timer);
    switch (state) {
      case 'cold':
      case 'warming':
        return;
      case 'loading':
        this.#attempt = Promise.withResolvers();
        this.#loading = this.#load();
        return;
      case 'ready':
        this.#failure.overcome();
        this.#settled.resolve();
        this.#attempt.resolve();
        // Runners that were lost while draining were not replaced.
        this.#runners?.complete();
        return;
      case 'draining':
        this.#timer = setTimeout(() => this.#drain(), this.#options.drainMs);
        return;
      case 'failed':
        this.#attempt.resolve();
        void this.#runners?.end();
        this.#scheduleRetry();
        return;
      case 'gone':
        this.#end.abort();
        void this.#runners?.end();
        serving?.batcher.close(new HotloopError('UNAVAILABLE', 'this version is no longer served here'));
        this.#settled.resolve();
        this.#attempt.resolve();
        return;
    }
  }

  async #load(): Promise<void> {
    const { signal } = this.#end;
    try {
      const bundle = await this.#adapters.store.get(this.record.bundleSha256);
      // Golden examples are read from the bundle, whose digest covers them; the registry's copy omits them.
      const manifest = parseManifest(bundle.manifestYaml);
      inspectModel(bundle.onnx, { domains: ownDomains(manifest) });
      await this.#adapters.admit(this, bundle.onnx.length, signal);
      if (signal.aborted) return;
      const runners = this.#makeRunners();
      this.#runners = runners;
      await runners.start(bundle.onnx);
      releaseBytes(bundle.onnx);
      if (signal.aborted) return;
      this.handle('loaded');
      const batcher = this.serving?.batcher ?? this.#makeBatcher();
      const warmed = await runners.warm(manifest, batcher.cost);
      if (signal.aborted) return;
      this.serving?.sharing.end();
      const { executionProviders, record } = this;
      const adapters = { ...this.#adapters, log: this.#log, batcher };
      const sharing = new RunSharing(warmed, adapters, { model: record.model, executionProviders });
      this.#phase = { state: 'warming', serving: { slot: this, model: warmed.model, batcher, sharing } };
      runners.serve(batcher);
      this.handle('warmed');
    } catch (error) {
      if (!signal.aborted) this.#refuse(error);
    }
  }

  #makeRunners(): VersionRunners {
    const adapters = {
      ...this.#adapters,
      log: this.#log,
      backoff: this.#failure.backoff,
      owner: {
        mayReplace: () => this.state === 'ready',
        onLost: (failure: HotloopError, waitMs: number) => this.#lost(failure, waitMs),
      },
    };
    return new VersionRunners(this.record, adapters, this.#options);
  }

  #makeBatcher(): Batcher {
    const { batchTargetUs, hangMs } = this.#options;
    const { max_batch, queue } = this.record.manifest.runtime;
    const options = {
      maxBatchRows: max_batch,
      queueRows: queue,
      targetUs: batchTargetUs,
      hangMs,
      onRun: (rows: number, runUs: number) => this.statistics.ran(rows, runUs),
      onKiller: (work: Work) => this.#adapters.onKiller(this, work),
    };
    return new Batcher(options, this.#adapters.clock, this.#log);
  }

  #refuse(error: unknown): void {
    if (toHotloopError(error).reason === 'evicted') {
      this.#isEvicted = true;
      this.handle('unwanted');
      return;
    }
    this.#failure.refused(error);
    const { retryInMs } = this.#failure;
    this.#log.warn({ error, retryInMs }, 'the version could not be made ready');
    if (retryInMs === Number.POSITIVE_INFINITY) this.#settled.resolve();
    this.handle('refused');
  }

  /** The last runner has ended. The version is loaded again after `waitMs`; its queue is kept meanwhile. */
  #lost(failure: HotloopError, waitMs: number): void {
    this.#failure.lost(failure, waitMs);
    this.#log.error({ error: failure, retryInMs: waitMs }, 'the version has lost its last runner');
    this.handle('lost');
  }

  #scheduleRetry(): void {
    const { retryInMs } = this.#failure;
    if (retryInMs === Number.POSITIVE_INFINITY) {
      this.serving?.batcher.close(
        new HotloopError('UNAVAILABLE', 'this version cannot be served', { reason: 'version_failed' }),
      );
      this.#phase = { state: 'failed', serving: undefined };
      return;
    }
    this.#timer = setTimeout(() => this.handle('retry'), retryInMs);
  }

  #drain(): void {
    if ((this.serving?.batcher.inFlight ?? 0) === 0) this.handle('drained');
    else this.#timer = setTimeout(() => this.#drain(), 20);
  }
}
