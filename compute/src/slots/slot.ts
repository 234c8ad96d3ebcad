import type { Clock } from '@hotloop/platform/clock.ts';
import { HotloopError, toHotloopError } from '@hotloop/platform/errors.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { parseManifest } from '@hotloop/platform/manifest/parse-manifest.ts';
import { inspectModel } from '@hotloop/platform/onnx/inspect.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { releaseBytes } from '@hotloop/platform/release-bytes.ts';
import type { Manifest } from '@hotloop/proto/manifest.ts';
import { Batcher, type Work } from '../batching/batcher.ts';
import type { Confinements } from '../runner/confinement.ts';
import type { ExecutionProvider, LoadedModel } from '../runner/load-options.ts';
import type { Runner } from '../runner/runner.ts';
import { startAnyRunner } from '../runner/start-any-runner.ts';
import { checkGolden } from './check-golden.ts';
import type { GoldenTerms } from './compare-golden.ts';
import type { RecentInputs } from './recent-inputs.ts';
import type { SlotOptions } from './slot-options.ts';
import { SlotStatistics } from './slot-statistics.ts';
import { SLOT_TABLE, type SlotEvent, type SlotState } from './slot-table.ts';
import { warmRunner } from './warm-runner.ts';

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

/** Trying again may help with these; with a bad model it does not. */
const RETRIABLE = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'RESOURCE_EXHAUSTED',
  'INTERNAL',
]);

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
  #state: SlotState = 'cold';
  #detail = '';
  #reason = '';
  #failures = 0;
  #runners: Runner[] = [];
  #model: LoadedModel | undefined;
  #batcher: Batcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<void> = Promise.resolve();
  #isDemanded = false;
  #isAsleep = false;
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
    this.#log = adapters.log.child({ model: record.model, version: record.version });
  }

  get state(): SlotState {
    return this.#state;
  }

  /** Why it failed, for whoever promotes; written for callers. */
  get detail(): string {
    return this.#detail;
  }

  /** The failure's reason as a word, such as golden_mismatch; empty without one. */
  get reason(): string {
    return this.#reason;
  }

  /** What the runtime says of the model; undefined until it was loaded once. */
  get model(): LoadedModel | undefined {
    return this.#model;
  }

  /** Where work is submitted; undefined until ready once, and when gone. */
  get batcher(): Batcher | undefined {
    return this.#batcher;
  }

  /** True once a request has waited for it; then it may take the room of its equals. */
  get isDemanded(): boolean {
    return this.#isDemanded;
  }

  /** True when it is gone because there was no memory for it and nobody waited. */
  get isAsleep(): boolean {
    return this.#isAsleep;
  }

  /** What it runs on: what its manifest names, else what the node does. */
  get executionProviders(): readonly ExecutionProvider[] {
    return this.record.manifest.runtime.execution_providers ?? this.#options.executionProviders;
  }

  demand(): void {
    this.#isDemanded = true;
  }

  get runnerPids(): readonly number[] {
    return this.#runners.map((runner) => runner.pid);
  }

  memoryBytes(): number {
    return this.#runners.reduce((total, runner) => total + runner.memoryBytes(), 0);
  }

  /** Resolves when it is ready, failed for good, or gone for the first time. */
  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  handle(event: SlotEvent): void {
    const next = SLOT_TABLE[this.#state][event];
    if (next === this.#state) return;
    this.#state = next;
    this.#enter(next);
    this.#adapters.onChange(this);
  }

  /** Measures the runners' memory, and ends a runner that takes more than it may: another takes its place. */
  async measure(): Promise<void> {
    await Promise.allSettled(this.#runners.map((runner) => runner.ping()));
    for (const runner of this.#runners) {
      const memoryBytes = runner.memoryBytes();
      if (memoryBytes <= this.#memoryLimitBytes) continue;
      this.#log.error(
        { runner: runner.pid, memoryBytes },
        'a runner takes more memory than it may; it is ended',
      );
      runner.kill();
      // Which input made it so large is not known; with it, the next runner would come to the same end while it warms up.
      this.#adapters.recent.forget(this.record.model);
    }
  }

  get #memoryLimitBytes(): number {
    const limit = this.record.manifest.runtime.memory_limit_mb;
    return limit === undefined ? this.#options.memoryLimitBytes : limit * 1024 ** 2;
  }

  /** Ends it now, whatever it does; resolves when its processes have ended. */
  async close(): Promise<void> {
    const ending = this.#runners.map((runner) => runner.gone);
    this.handle('unwanted');
    if (this.#state !== 'gone') {
      this.#batcher?.failWaiting(
        new HotloopError('UNAVAILABLE', 'the service is stopping', { reason: 'shutting_down' }),
      );
      this.#endRunners();
      this.handle('lost');
    }
    await Promise.all([...ending, this.#loading]);
  }

  #enter(state: SlotState): void {
    clearTimeout(this.#timer);
    switch (state) {
      case 'cold':
      case 'warming':
        return;
      case 'loading':
        this.#loading = this.#load();
        return;
      case 'ready':
        this.#failures = 0;
        this.#detail = '';
        this.#reason = '';
        this.#settled.resolve();
        return;
      case 'draining':
        this.#timer = setTimeout(() => this.#drain(), this.#options.drainMs);
        return;
      case 'failed':
        this.#endRunners();
        this.#scheduleRetry();
        return;
      case 'gone':
        this.#end.abort();
        this.#endRunners();
        this.#batcher?.failWaiting(new HotloopError('UNAVAILABLE', 'this version is no longer served here'));
        this.#batcher = undefined;
        this.#settled.resolve();
        return;
    }
  }

  async #load(): Promise<void> {
    const { signal } = this.#end;
    try {
      const bundle = await this.#adapters.store.get(this.record.bundleSha256);
      inspectModel(bundle.onnx);
      // The golden examples stand in the bundle alone, whose digest covers them.
      const manifest = parseManifest(bundle.manifestYaml);
      await this.#adapters.admit(this, bundle.onnx.length, signal);
      const instances = Array.from({ length: this.record.manifest.runtime.instances }, () =>
        this.#start(bundle.onnx),
      );
      const started = await Promise.allSettled(instances);
      releaseBytes(bundle.onnx);
      this.#runners = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      for (const result of started) if (result.status === 'rejected') throw result.reason;
      if (signal.aborted) return this.#endRunners();
      this.handle('loaded');
      await this.#warm(manifest);
    } catch (error) {
      if (signal.aborted) return this.#endRunners();
      this.#refuse(error);
    }
  }

  async #start(onnx: Uint8Array): Promise<Runner> {
    const { runtime } = this.record.manifest;
    const options = {
      executionProviders: this.executionProviders,
      threads: runtime.threads,
      loadTimeoutMs: this.#options.loadTimeoutMs,
      memoryLimitBytes: this.#memoryLimitBytes,
      confinements: this.#adapters.confinements,
    };
    return startAnyRunner(onnx, options, this.#log, this.#end.signal);
  }

  async #warm(manifest: Manifest): Promise<void> {
    const [first] = this.#runners;
    if (!first) throw new HotloopError('UNAVAILABLE', 'no runner could be started');
    const { runtime } = this.record.manifest;
    const batcher = this.#batcher ?? this.#makeBatcher(runtime.max_batch, runtime.queue);
    this.#model = first.model;
    const { recent } = this.#adapters;
    const startAnew = (lost: Runner) => this.#startAnew(lost);
    const adapters = { recent, cost: batcher.cost, log: this.#log, startAnew };
    const options = {
      model: this.record.model,
      terms: this.#goldenTerms(manifest),
      maxBatchRows: runtime.max_batch,
      budgetMs: this.#options.warmUpMs,
      hangMs: this.#options.hangMs,
    };
    let shareable = true;
    for (const runner of [...this.#runners]) {
      const isShareable = await warmRunner(runner, adapters, options, this.#end.signal);
      shareable &&= isShareable;
    }
    batcher.setShareable(shareable);
    await this.measure();
    if (this.#end.signal.aborted) return this.#endRunners();
    this.#batcher = batcher;
    for (const runner of this.#runners) {
      batcher.add(runner);
      void runner.gone.then((how) => this.#lost(runner, how));
    }
    this.handle('warmed');
  }

  #goldenTerms({ golden }: Manifest): GoldenTerms {
    return { golden, executionProviders: this.executionProviders };
  }

  /** Another runner in the place of one that has gone while the version warms up. */
  async #startAnew(lost: Runner): Promise<Runner> {
    this.#runners = this.#runners.filter((other) => other !== lost);
    await lost.gone;
    const { onnx } = await this.#adapters.store.get(this.record.bundleSha256);
    const runner = await this.#start(onnx);
    releaseBytes(onnx);
    this.#runners.push(runner);
    return runner;
  }

  #makeBatcher(maxBatchRows: number, queueRows: number): Batcher {
    const { batchTargetUs, hangMs } = this.#options;
    const options = {
      maxBatchRows,
      queueRows,
      targetUs: batchTargetUs,
      hangMs,
      onRun: (rows: number, runUs: number) => this.statistics.ran(rows, runUs),
      onKiller: (work: Work) => this.#adapters.onKiller(this, work),
    };
    return new Batcher(options, this.#adapters.clock, this.#log);
  }

  #refuse(error: unknown): void {
    const known = toHotloopError(error);
    if (known.reason === 'asleep') {
      this.#isAsleep = true;
      this.handle('unwanted');
      return;
    }
    this.#detail = known.message;
    this.#reason = known.reason;
    this.#failures++;
    this.#log.warn({ error, failures: this.#failures }, 'the version could not be made ready');
    if (!RETRIABLE.has(known.code)) {
      this.#failures = Number.POSITIVE_INFINITY;
      this.#settled.resolve();
    }
    this.handle('refused');
  }

  /** A runner has ended by itself. The version starts anew; its queue waits meanwhile. */
  #lost(runner: Runner, how: string): void {
    if (!this.#runners.includes(runner)) return;
    this.#log.error({ runner: runner.pid, how }, 'a runner ended by itself');
    this.#runners = this.#runners.filter((other) => other !== runner);
    this.#batcher?.remove(runner);
    if (this.#runners.length > 0 && this.#state === 'ready') void this.#replace(0);
    else {
      this.#detail = 'its runner ended';
      this.#reason = 'runner_lost';
      this.handle('lost');
    }
  }

  async #replace(failures: number): Promise<void> {
    if (failures > 0) await new Promise((resolve) => setTimeout(resolve, this.#backoff(failures)).unref());
    if (this.#state !== 'ready') return;
    try {
      const { onnx, manifestYaml } = await this.#adapters.store.get(this.record.bundleSha256);
      const runner = await this.#start(onnx);
      releaseBytes(onnx);
      const terms = this.#goldenTerms(parseManifest(manifestYaml));
      await checkGolden(runner, terms, this.#options.hangMs).catch((error: unknown) => {
        runner.kill();
        throw error;
      });
      await runner.ping();
      // Had the others been lost meanwhile, too, the version has begun anew, with all of its runners.
      const isServing = this.#state === 'ready' || this.#state === 'draining';
      if (!isServing || this.#runners.length >= this.record.manifest.runtime.instances) return runner.kill();
      this.#runners.push(runner);
      this.#batcher?.add(runner);
      void runner.gone.then((how) => this.#lost(runner, how));
    } catch (error) {
      this.#log.warn({ error, failures }, 'a lost runner could not be replaced');
      await this.#replace(failures + 1);
    }
  }

  #scheduleRetry(): void {
    if (this.#failures === Number.POSITIVE_INFINITY) {
      this.#batcher?.failWaiting(
        new HotloopError('UNAVAILABLE', 'this version cannot be served', { reason: 'version_failed' }),
      );
      this.#batcher = undefined;
      return;
    }
    // The first replacement of a lost runner comes at once: requests are waiting for it.
    const wait = this.#failures === 0 ? 0 : this.#backoff(this.#failures);
    this.#failures++;
    this.#timer = setTimeout(() => this.handle('retry'), wait);
  }

  #backoff(failures: number): number {
    return Math.min(this.#options.maxRetryMs, this.#options.retryMs * 2 ** Math.min(failures - 1, 16));
  }

  #drain(): void {
    if ((this.#batcher?.inFlight ?? 0) === 0) this.handle('drained');
    else this.#timer = setTimeout(() => this.#drain(), 20);
  }

  #endRunners(): void {
    const runners = this.#runners;
    this.#runners = [];
    for (const runner of runners) {
      this.#batcher?.remove(runner);
      runner.kill();
    }
  }
}
