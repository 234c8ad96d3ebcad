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
 * One version of a model on this node, from cold to gone. Owns its runners and its queue. Moves by the table; what each
 * state does stands in `#enter`. Work is taken from the first time it is ready: while lost runners are replaced, it waits.
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
  #state: SlotState = 'cold';
  readonly #failure: SlotFailure;
  #runners: VersionRunners | undefined;
  #model: LoadedModel | undefined;
  #batcher: Batcher | undefined;
  #sharing: RunSharing | undefined;
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<void> = Promise.resolve();
  #isAsleep = false;
  /** Callers that wait until it takes work; what it has taken counts in its batcher. */
  waiting = 0;
  /** True once a request has waited for it; then it may take the room of its equals. */
  isDemanded = false;
  /** On the monotonic clock; for the least recently used. */
  lastUsedAt = 0;
  /** True when no role in the registry, but a request, brought it here. */
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
    return this.#state;
  }

  /** Why it failed, for whoever promotes; written for callers. */
  get detail(): string {
    return this.#failure.detail;
  }

  /** The failure's reason as a word, such as golden_mismatch; empty without one. */
  get reason(): string {
    return this.#failure.reason;
  }

  /** What the runtime says of the model; undefined until it was loaded once. */
  get model(): LoadedModel | undefined {
    return this.#model;
  }

  /** Where work is submitted; undefined until ready once, and when gone. */
  get batcher(): Batcher | undefined {
    return this.#batcher;
  }

  /** True when it is gone because there was no memory for it and nobody waited. */
  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** What it runs on: what its manifest names, else what the node does. */
  get executionProviders(): readonly ExecutionProvider[] {
    return executionProvidersOf(this.record, this.#options);
  }

  get runnerPids(): readonly number[] {
    return this.#runners?.pids ?? [];
  }

  memoryBytes(): number {
    return this.#runners?.memoryBytes() ?? 0;
  }

  /** Resolves when it is ready, failed for good, or gone for the first time. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  /** Resolves when it is ready, has failed once, for good or not, or is gone. */
  get attempted(): Promise<void> {
    return this.#attempt.promise;
  }

  handle(event: SlotEvent): void {
    const next = SLOT_TABLE[this.#state][event];
    if (next === this.#state) return;
    this.#state = next;
    this.#enter(next);
    this.#adapters.onChange(this);
  }

  isWaitedFor(): boolean {
    return this.waiting > 0 || (this.#batcher?.inFlight ?? 0) > 0;
  }

  /** Measures the memory of the runners that serve, and ends one that takes more than it may: another takes its place. */
  async measure(): Promise<void> {
    await this.#runners?.measure();
  }

  /** Asks again whether its requests may share runs, where the warm-up could not tell. */
  async probe(): Promise<void> {
    if (this.#state === 'ready') await this.#sharing?.probe();
  }

  /** Ends it now, whatever it does; resolves when its processes have ended. */
  async close(): Promise<void> {
    this.handle('unwanted');
    if (this.#state !== 'gone') {
      this.#batcher?.close(
        new HotloopError('UNAVAILABLE', 'the service is stopping', { reason: 'shutting_down' }),
      );
      void this.#runners?.end();
      this.handle('lost');
    }
    await Promise.all([this.#runners?.end(), this.#loading]);
  }

  #enter(state: SlotState): void {
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
        // What was lost while it drained was not replaced.
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
        this.#batcher?.close(new HotloopError('UNAVAILABLE', 'this version is no longer served here'));
        this.#batcher = undefined;
        this.#settled.resolve();
        this.#attempt.resolve();
        return;
    }
  }

  async #load(): Promise<void> {
    const { signal } = this.#end;
    try {
      const bundle = await this.#adapters.store.get(this.record.bundleSha256);
      // The golden examples stand in the bundle alone, whose digest covers them.
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
      const batcher = this.#batcher ?? this.#makeBatcher();
      const warmed = await runners.warm(manifest, batcher.cost);
      if (signal.aborted) return;
      this.#model = warmed.model;
      this.#batcher = batcher;
      this.#sharing?.end();
      const { executionProviders, record } = this;
      const adapters = { ...this.#adapters, log: this.#log, batcher };
      this.#sharing = new RunSharing(warmed, adapters, { model: record.model, executionProviders });
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
        mayReplace: () => this.#state === 'ready',
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
    if (toHotloopError(error).reason === 'asleep') {
      this.#isAsleep = true;
      this.handle('unwanted');
      return;
    }
    this.#failure.refused(error);
    const { retryInMs } = this.#failure;
    this.#log.warn({ error, retryInMs }, 'the version could not be made ready');
    if (retryInMs === Number.POSITIVE_INFINITY) this.#settled.resolve();
    this.handle('refused');
  }

  /** The last runner has ended. The version starts anew after so long; its queue waits meanwhile. */
  #lost(failure: HotloopError, waitMs: number): void {
    this.#failure.lost(failure, waitMs);
    this.#log.error({ error: failure, retryInMs: waitMs }, 'the version has lost its last runner');
    this.handle('lost');
  }

  #scheduleRetry(): void {
    const { retryInMs } = this.#failure;
    if (retryInMs === Number.POSITIVE_INFINITY) {
      this.#batcher?.close(
        new HotloopError('UNAVAILABLE', 'this version cannot be served', { reason: 'version_failed' }),
      );
      this.#batcher = undefined;
      return;
    }
    this.#timer = setTimeout(() => this.handle('retry'), retryInMs);
  }

  #drain(): void {
    if ((this.#batcher?.inFlight ?? 0) === 0) this.handle('drained');
    else this.#timer = setTimeout(() => this.#drain(), 20);
  }
}
