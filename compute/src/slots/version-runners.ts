import { setTimeout as wait } from 'node:timers/promises';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { decodeModel } from '@hotloop/model/onnx/model.ts';
import { rowsAreIndependent } from '@hotloop/model/onnx/rows/rows-are-independent.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { releaseBytes } from '@hotloop/platform/release-bytes.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { BatchCost } from '../batching/batch-cost.ts';
import type { Batcher } from '../batching/batcher.ts';
import type { Confinements } from '../runner/confinement.ts';
import type { LoadedModel } from '../runner/load-options.ts';
import { startRemoteRunner } from '../runner/remote-runner.ts';
import type { Runner, RunnerOptions } from '../runner/runner.ts';
import { startAnyRunner } from '../runner/start-any-runner.ts';
import type { Backoff } from './backoff.ts';
import { memoryLimitBytes, overMemoryLimit } from './memory-limit.ts';
import type { RecentInputs } from './recent-inputs.ts';
import type { RowVerdict } from './row-independence.ts';
import { executionProvidersOf, type SlotOptions } from './slot-options.ts';
import { warmRunner } from './warm-runner.ts';

export interface VersionRunnersAdapters {
  readonly store: BundleStore;
  readonly recent: RecentInputs;
  readonly confinements: Confinements;
  readonly log: Log;
  /** Shared by all loads of the version. */
  readonly backoff: Backoff;
  readonly owner: RunnersOwner;
}

export interface RunnersOwner {
  /** True while lost runners should be replaced. */
  mayReplace(): boolean;
  /** The last runner has ended while serving; the next load may start after `waitMs`. */
  onLost(failure: HotloopError, waitMs: number): void;
}

/** What the warm-up of a version's runners has found out. */
export interface WarmedVersion {
  readonly model: LoadedModel;
  readonly rows: RowVerdict;
}

/**
 * The runners of one version during one load. Call `start`, `warm`, `serve`, `end` in this order; `end` may be called
 * at any time and is final. A runner that is lost while others serve is replaced as long as `mayReplace` allows it;
 * when none is left, `onLost` is called, and a new load creates new ones.
 */
export class VersionRunners {
  readonly #record: VersionRecord;
  readonly #adapters: VersionRunnersAdapters;
  readonly #options: SlotOptions;
  readonly #end = new AbortController();
  /** All runners that were started and may not have ended yet. */
  #held: Runner[] = [];
  readonly #serving = new Set<Runner>();
  readonly #replacements = new Set<Promise<void>>();
  /** Runners whose memory is being measured. */
  readonly #asked = new Set<Runner>();
  /** Runners that were killed because of their memory, and why. */
  readonly #tooLarge = new WeakMap<Runner, HotloopError>();
  /** Whether the graph shows that the rows of a batch are independent; if not, requests run alone. */
  #showsRows = false;
  #batcher: Batcher | undefined;
  #ended: Promise<unknown> | undefined;

  constructor(record: VersionRecord, adapters: VersionRunnersAdapters, options: SlotOptions) {
    this.#record = record;
    this.#adapters = adapters;
    this.#options = options;
  }

  get pids(): readonly number[] {
    // A remote model has no process.
    return this.#held.flatMap((runner) => (runner.pid === 0 ? [] : [runner.pid]));
  }

  memoryBytes(): number {
    return this.#held.reduce((total, runner) => total + runner.memoryBytes(), 0);
  }

  /**
   * Starts the number of runners that the manifest says. Rejects as startRunner does, once all have started or
   * failed.
   */
  async start(onnx: Uint8Array): Promise<void> {
    // The graph of a remote model is not available; probing its rows together and alone shows it.
    this.#showsRows = this.#isRemote || rowsAreIndependent(decodeModel(onnx));
    const instances = Array.from({ length: this.#instances }, () => this.#start(onnx));
    for (const result of await Promise.allSettled(instances))
      if (result.status === 'rejected') throw result.reason;
  }

  /**
   * Checks each runner's golden examples and warms it up. Rejects as warmRunner does, and RESOURCE_EXHAUSTED
   * `memory_limit`.
   */
  async warm(manifest: Manifest, cost: BatchCost): Promise<WarmedVersion> {
    let model: LoadedModel = { inputs: [], outputs: [] };
    const found = new Set<RowVerdict>();
    for (const runner of [...this.#held]) {
      const warmed = await this.#warm(runner, manifest, { cost, mayProbe: this.#showsRows });
      found.add(warmed.rows);
      model = warmed.runner.model;
    }
    const doubt = found.has('dependent') ? 'dependent' : found.has('unknown') ? 'unknown' : undefined;
    return { model, rows: doubt ?? 'independent' };
  }

  /** From now on the runners take the batcher's work. */
  serve(batcher: Batcher): void {
    this.#batcher = batcher;
    for (const runner of this.#held) this.#serve(runner, batcher);
  }

  /** Starts the missing runners after `waitMs`, if they may be replaced. */
  complete(waitMs = 0): void {
    const missing = this.#instances - this.#serving.size - this.#replacements.size;
    for (let started = 0; started < missing; started++) {
      const replacement = this.#replace(waitMs).finally(() => this.#replacements.delete(replacement));
      this.#replacements.add(replacement);
    }
  }

  /** Measures the memory of the serving runners. One that exceeds its limit is killed and replaced. */
  async measure(): Promise<void> {
    await Promise.all([...this.#serving].map((runner) => this.#measureOne(runner)));
  }

  /** Ends all runners at once, in whatever state they are. Resolves when their processes have ended. */
  end(): Promise<unknown> {
    if (this.#ended) return this.#ended;
    this.#end.abort();
    const runners = this.#held;
    this.#held = [];
    this.#serving.clear();
    for (const runner of runners) {
      this.#batcher?.pardon(runner);
      this.#batcher?.remove(runner);
      runner.kill();
    }
    this.#ended = Promise.all([...runners.map((runner) => runner.gone), ...this.#replacements]);
    return this.#ended;
  }

  get #instances(): number {
    return this.#record.manifest.runtime.instances;
  }

  get #isRemote(): boolean {
    return this.#record.manifest.runtime.remote !== undefined;
  }

  #startOne(onnx: Uint8Array, options: RunnerOptions, signal: AbortSignal): Promise<Runner> {
    const { log } = this.#adapters;
    const { model, manifest } = this.#record;
    const { remote: url, model: name = model, model_version: version = '' } = manifest.runtime;
    if (url === undefined) return startAnyRunner(onnx, options, log, signal);
    const { loadTimeoutMs, hangMs } = this.#options;
    return startRemoteRunner({ url, model: name, version }, onnx, { loadTimeoutMs, hangMs }, log, signal);
  }

  async #start(onnx: Uint8Array): Promise<Runner> {
    const options = {
      executionProviders: executionProvidersOf(this.#record, this.#options),
      threads: this.#record.manifest.runtime.threads,
      loadTimeoutMs: this.#options.loadTimeoutMs,
      memoryLimitBytes: memoryLimitBytes(this.#record, this.#options),
      deviceEnvironment: this.#options.deviceEnvironment,
      confinements: this.#adapters.confinements,
    };
    const { signal } = this.#end;
    const runner = await this.#startOne(onnx, options, signal);
    if (signal.aborted) {
      runner.kill();
      throw new HotloopError('CANCELLED', 'loading was cancelled');
    }
    this.#held.push(runner);
    return runner;
  }

  /**
   * Resolves with the warm runner, which is a replacement if the first one was lost. When it rejects, no runner is
   * left.
   */
  async #warm(
    first: Runner,
    manifest: Manifest,
    { cost, mayProbe }: { readonly cost: BatchCost; readonly mayProbe: boolean },
  ): Promise<{ readonly runner: Runner; readonly rows: RowVerdict }> {
    let runner = first;
    const replace = async (lost: Runner) => {
      this.#drop(lost);
      await lost.gone;
      const { onnx } = await this.#adapters.store.get(this.#record.bundleSha256);
      runner = await this.#start(onnx);
      releaseBytes(onnx);
      return runner;
    };
    const { recent, log } = this.#adapters;
    const { warmUpMs, hangMs, loadTimeoutMs } = this.#options;
    const options = {
      model: this.#record.model,
      terms: {
        golden: manifest.golden,
        executionProviders: executionProvidersOf(this.#record, this.#options),
      },
      maxBatchRows: this.#record.manifest.runtime.max_batch,
      budgetMs: warmUpMs,
      mayProbe,
      limits: { firstMs: loadTimeoutMs, laterMs: hangMs },
    };
    try {
      const rows = await warmRunner(first, { recent, cost, log, replace }, options, this.#end.signal);
      await this.#checkMemory(runner);
      return { runner, rows };
    } catch (error) {
      this.#drop(runner);
      throw error;
    }
  }

  #serve(runner: Runner, batcher: Batcher): void {
    this.#serving.add(runner);
    batcher.add(runner);
    void runner.gone.then((how) => this.#lost(runner, how));
  }

  /** A runner in a long run answers after it; the batcher detects one that hangs. */
  async #measureOne(runner: Runner): Promise<void> {
    if (this.#asked.has(runner)) return;
    this.#asked.add(runner);
    await runner.ping().catch(() => undefined);
    this.#asked.delete(runner);
    if (!this.#serving.has(runner) || this.#tooLarge.has(runner)) return;
    const failure = this.#overLimit(runner);
    if (!failure) return;
    this.#tooLarge.set(runner, failure);
    // Which input caused the growth is unknown. With that input, the next runner would also exceed the limit while
    // warming up.
    this.#adapters.recent.forget(this.#record.model);
    this.#batcher?.pardon(runner);
    runner.kill();
  }

  /** Checks a runner without work. */
  async #checkMemory(runner: Runner): Promise<void> {
    const timer = setTimeout(() => runner.kill(), this.#options.hangMs);
    try {
      await runner.ping();
    } catch (cause) {
      throw new HotloopError('UNAVAILABLE', RUNNER_LOST.message, { reason: RUNNER_LOST.reason, cause });
    } finally {
      clearTimeout(timer);
    }
    const failure = this.#overLimit(runner);
    if (failure) throw failure;
  }

  /** Uses the last measurement. */
  #overLimit(runner: Runner): HotloopError | undefined {
    const { log } = this.#adapters;
    const memoryBytes = runner.memoryBytes();
    const failure = overMemoryLimit(memoryBytes, memoryLimitBytes(this.#record, this.#options));
    if (!failure) return undefined;
    log.error({ runner: runner.pid, memoryBytes }, 'a runner exceeds its memory limit; it is killed');
    return failure;
  }

  #lost(runner: Runner, how: string): void {
    if (!this.#serving.delete(runner)) return;
    const tooLarge = this.#tooLarge.get(runner);
    if (!tooLarge) this.#adapters.log.error({ runner: runner.pid, how }, 'a runner ended by itself');
    this.#held = this.#held.filter((other) => other !== runner);
    this.#batcher?.remove(runner);
    const { backoff } = this.#adapters;
    // Requests wait, so a replacement is started at once; but a runner that exceeded its memory limit will
    // probably do so again.
    const waitMs = tooLarge ? backoff.failed() : backoff.stumbled();
    if (this.#serving.size > 0) this.complete(waitMs);
    else this.#adapters.owner.onLost(tooLarge ?? RUNNER_LOST, waitMs);
  }

  async #replace(waitMs: number): Promise<void> {
    const { signal } = this.#end;
    const { backoff, log } = this.#adapters;
    for (let nextMs = waitMs; ; ) {
      try {
        if (nextMs > 0) await wait(nextMs, undefined, { signal, ref: false });
        if (this.#isOneMissing()) await this.#addOne();
        return;
      } catch (error) {
        if (signal.aborted) return;
        nextMs = backoff.failed();
        log.warn({ error, failures: backoff.failures }, 'a lost runner could not be replaced');
      }
    }
  }

  async #addOne(): Promise<void> {
    const { onnx, manifestYaml } = await this.#adapters.store.get(this.#record.bundleSha256);
    const started = await this.#start(onnx);
    releaseBytes(onnx);
    // Whether requests may share runs is already known. The cost of a batch is not measured on a machine that
    // serves.
    const asked = { cost: new BatchCost(), mayProbe: false };
    const { runner } = await this.#warm(started, parseManifest(manifestYaml), asked);
    if (!this.#batcher || !this.#isOneMissing()) return this.#drop(runner);
    this.#serve(runner, this.#batcher);
    this.#adapters.backoff.succeeded();
  }

  #isOneMissing(): boolean {
    return this.#adapters.owner.mayReplace() && this.#serving.size < this.#instances;
  }

  #drop(runner: Runner): void {
    this.#held = this.#held.filter((other) => other !== runner);
    runner.kill();
  }
}

const RUNNER_LOST = new HotloopError('UNAVAILABLE', 'its runner ended', { reason: 'runner_lost' });
