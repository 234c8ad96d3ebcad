import { setTimeout as wait } from 'node:timers/promises';
import { HotloopError } from '@hotloop/platform/errors.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { parseManifest } from '@hotloop/platform/manifest/parse-manifest.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { releaseBytes } from '@hotloop/platform/release-bytes.ts';
import type { Manifest } from '@hotloop/proto/manifest.ts';
import { BatchCost } from '../batching/batch-cost.ts';
import type { Batcher } from '../batching/batcher.ts';
import type { Confinements } from '../runner/confinement.ts';
import type { ExecutionProvider, LoadedModel } from '../runner/load-options.ts';
import type { Runner } from '../runner/runner.ts';
import { startAnyRunner } from '../runner/start-any-runner.ts';
import type { RecentInputs } from './recent-inputs.ts';
import type { SlotOptions } from './slot-options.ts';
import { warmRunner } from './warm-runner.ts';

export interface VersionRunnersAdapters {
  readonly store: BundleStore;
  readonly recent: RecentInputs;
  readonly confinements: Confinements;
  readonly log: Log;
  /** How long a runner waits to be replaced that could not be so many times. */
  backoff(failures: number): number;
  /** True while those that are lost are to be replaced. */
  mayReplace(): boolean;
  /** The last of them has ended by itself while they served. */
  onLost(failure: HotloopError): void;
}

/**
 * The runners of one version for one load: `start`, `warm`, `serve`, `end`, in this order; `end` may come at any time and is
 * final. One that is lost while others serve is replaced as long as `mayReplace` says so; when none is left, `onLost` tells, and a new load
 * makes new ones.
 */
export class VersionRunners {
  readonly #record: VersionRecord;
  readonly #adapters: VersionRunnersAdapters;
  readonly #options: SlotOptions;
  readonly #end = new AbortController();
  /** All that were started and have not ended, as far as is known. */
  #held: Runner[] = [];
  readonly #serving = new Set<Runner>();
  readonly #replacements = new Set<Promise<void>>();
  #batcher: Batcher | undefined;
  #ended: Promise<unknown> | undefined;

  constructor(record: VersionRecord, adapters: VersionRunnersAdapters, options: SlotOptions) {
    this.#record = record;
    this.#adapters = adapters;
    this.#options = options;
  }

  get pids(): readonly number[] {
    return this.#held.map((runner) => runner.pid);
  }

  /** What the runtime says of the version; undefined before the first has started. */
  get model(): LoadedModel | undefined {
    return this.#held[0]?.model;
  }

  memoryBytes(): number {
    return this.#held.reduce((total, runner) => total + runner.memoryBytes(), 0);
  }

  /** As many as the manifest says. Rejects as startRunner does, when the others have started, too, or have failed. */
  async start(onnx: Uint8Array): Promise<void> {
    const instances = Array.from({ length: this.#instances }, () => this.#start(onnx));
    for (const result of await Promise.allSettled(instances))
      if (result.status === 'rejected') throw result.reason;
  }

  /** Holds each to its golden examples and warms it up. Resolves with whether requests may share a run; rejects as warmRunner. */
  async warm(manifest: Manifest, cost: BatchCost): Promise<boolean> {
    let shareable = true;
    for (const runner of [...this.#held]) {
      const warmed = await this.#warm(runner, manifest, cost);
      shareable &&= warmed.isShareable;
    }
    await this.#measure(this.#held);
    return shareable;
  }

  /** From now on they take the batcher's work. */
  serve(batcher: Batcher): void {
    this.#batcher = batcher;
    for (const runner of this.#held) this.#serve(runner, batcher);
  }

  /** Starts others in the place of those that are missing, where they may be replaced. */
  complete(): void {
    const missing = this.#instances - this.#serving.size - this.#replacements.size;
    for (let started = 0; started < missing; started++) {
      const replacement = this.#replace().finally(() => this.#replacements.delete(replacement));
      this.#replacements.add(replacement);
    }
  }

  /** Measures the memory of those that serve, and ends one that takes more than it may: another takes its place. */
  measure(): Promise<void> {
    return this.#measure([...this.#serving]);
  }

  /** Ends all at once, whatever they do. Resolves when their processes have ended. */
  end(): Promise<unknown> {
    if (this.#ended) return this.#ended;
    this.#end.abort();
    const runners = this.#held;
    this.#held = [];
    this.#serving.clear();
    for (const runner of runners) {
      this.#batcher?.remove(runner);
      runner.kill();
    }
    this.#ended = Promise.all([...runners.map((runner) => runner.gone), ...this.#replacements]);
    return this.#ended;
  }

  get #instances(): number {
    return this.#record.manifest.runtime.instances;
  }

  get #memoryLimitBytes(): number {
    const limit = this.#record.manifest.runtime.memory_limit_mb;
    return limit === undefined ? this.#options.memoryLimitBytes : limit * 1024 ** 2;
  }

  async #start(onnx: Uint8Array): Promise<Runner> {
    const options = {
      executionProviders: executionProvidersOf(this.#record, this.#options),
      threads: this.#record.manifest.runtime.threads,
      loadTimeoutMs: this.#options.loadTimeoutMs,
      memoryLimitBytes: this.#memoryLimitBytes,
      confinements: this.#adapters.confinements,
    };
    const { signal } = this.#end;
    const runner = await startAnyRunner(onnx, options, this.#adapters.log, signal);
    if (signal.aborted) {
      runner.kill();
      throw new HotloopError('CANCELLED', 'loading was cancelled');
    }
    this.#held.push(runner);
    return runner;
  }

  /** Resolves with the runner that is warm, another one where the first was lost on the way. None is left when it rejects. */
  async #warm(
    first: Runner,
    manifest: Manifest,
    cost: BatchCost,
  ): Promise<{ readonly runner: Runner; readonly isShareable: boolean }> {
    let runner = first;
    const startAnew = async (lost: Runner) => {
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
      limits: { firstMs: loadTimeoutMs, laterMs: hangMs },
    };
    try {
      const isShareable = await warmRunner(
        first,
        { recent, cost, log, startAnew },
        options,
        this.#end.signal,
      );
      return { runner, isShareable };
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

  async #measure(runners: readonly Runner[]): Promise<void> {
    await Promise.allSettled(runners.map((runner) => runner.ping()));
    for (const runner of runners) {
      const memoryBytes = runner.memoryBytes();
      if (memoryBytes <= this.#memoryLimitBytes) continue;
      const { log, recent } = this.#adapters;
      log.error({ runner: runner.pid, memoryBytes }, 'a runner takes more memory than it may; it is ended');
      runner.kill();
      // Which input made it so large is not known; with it, the next runner would come to the same end while it warms up.
      recent.forget(this.#record.model);
    }
  }

  #lost(runner: Runner, how: string): void {
    if (!this.#serving.delete(runner)) return;
    this.#adapters.log.error({ runner: runner.pid, how }, 'a runner ended by itself');
    this.#held = this.#held.filter((other) => other !== runner);
    this.#batcher?.remove(runner);
    if (this.#serving.size > 0) this.complete();
    else
      this.#adapters.onLost(new HotloopError('UNAVAILABLE', 'its runner ended', { reason: 'runner_lost' }));
  }

  async #replace(): Promise<void> {
    const { signal } = this.#end;
    for (let failures = 0; this.#isOneMissing(); failures++) {
      try {
        if (failures > 0) await wait(this.#adapters.backoff(failures), undefined, { signal, ref: false });
        return await this.#addOne();
      } catch (error) {
        if (signal.aborted) return;
        this.#adapters.log.warn({ error, failures }, 'a lost runner could not be replaced');
      }
    }
  }

  async #addOne(): Promise<void> {
    const { onnx, manifestYaml } = await this.#adapters.store.get(this.#record.bundleSha256);
    const started = await this.#start(onnx);
    releaseBytes(onnx);
    // What a batch costs is for runners to say that take work, not for one that stands behind them.
    const { runner } = await this.#warm(started, parseManifest(manifestYaml), new BatchCost());
    await runner.ping();
    if (this.#batcher && this.#isOneMissing()) this.#serve(runner, this.#batcher);
    else this.#drop(runner);
  }

  #isOneMissing(): boolean {
    return this.#adapters.mayReplace() && this.#serving.size < this.#instances;
  }

  #drop(runner: Runner): void {
    this.#held = this.#held.filter((other) => other !== runner);
    runner.kill();
  }
}

/** What a version runs on: what its manifest names, else what the node does. */
export function executionProvidersOf(
  { manifest }: VersionRecord,
  options: SlotOptions,
): readonly ExecutionProvider[] {
  return manifest.runtime.execution_providers ?? options.executionProviders;
}
