import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type Holder, loadingBytes, makeRoom } from './memory-budget.ts';
import type { Slot } from './slot.ts';

export interface AdmissionOptions {
  readonly memoryBudgetBytes: number;
  readonly loadsAtOnce: number;
}

export interface AdmissionAdapters {
  readonly clock: Clock;
  readonly log: Log;
  slots(): Iterable<Slot>;
  worthOf(record: VersionRecord): number;
  /** Resolves when the version's processes have ended. */
  evict(slot: Slot): Promise<void>;
}

/** A version that is being promoted is never evicted. */
const TARGET_WORTH = 3;
const POLL_MS = 10;
const MAX_WAIT_MS = 30_000;

/**
 * Lets versions load within the node's memory budget: a few at once, each when there is room for it, evicting others
 * where that is allowed. The memory that a version used is remembered, and its next load reserves that amount if it
 * is more than loading takes.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #adapters: AdmissionAdapters;
  /** Bytes reserved for a version that loads, until it is measured. */
  readonly #claims = new Map<Slot, number>();
  readonly #measured = new Map<string, number>();
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: AdmissionOptions, adapters: AdmissionAdapters) {
    this.#options = options;
    this.#adapters = adapters;
  }

  /**
   * Resolves when the version may load. Rejects RESOURCE_EXHAUSTED (`evicted`: no request waits for it;
   * `memory_budget`) or CANCELLED. Decides about one version at a time.
   */
  admit(slot: Slot, onnxBytes: number, signal: AbortSignal): Promise<void> {
    const judged = this.#turn.then(() => this.#judge(slot, onnxBytes, signal));
    this.#turn = judged.catch(() => undefined);
    return judged;
  }

  /** Call when a version's state has changed: records the memory of a loaded version, and releases its reservation. */
  changed(slot: Slot): void {
    if (slot.state === 'loading' || slot.state === 'warming') return;
    this.#claims.delete(slot);
    if (slot.state === 'ready' && slot.memoryBytes() > 0)
      this.#measured.set(slot.record.bundleSha256, slot.memoryBytes());
  }

  close(): void {
    this.#closed = true;
  }

  async #judge(slot: Slot, onnxBytes: number, signal: AbortSignal): Promise<void> {
    const { memoryBudgetBytes, loadsAtOnce } = this.#options;
    const { instances } = slot.record.manifest.runtime;
    const measured = this.#measured.get(slot.record.bundleSha256) ?? 0;
    const bytes = Math.max(measured, loadingBytes(onnxBytes, instances));
    const until = this.#adapters.clock.monotonic() + MAX_WAIT_MS;
    for (;;) {
      if (signal.aborted || this.#closed) throw new HotloopError('CANCELLED', 'loading was cancelled');
      if (this.#claims.size < loadsAtOnce) {
        const worth = this.#adapters.worthOf(slot.record);
        const claim = { bytes, budgetBytes: memoryBudgetBytes, worth, isDemanded: slot.isDemanded };
        const room = makeRoom(this.#holders(slot), claim);
        if (room.kind === 'room') {
          this.#claims.set(slot, bytes);
          await this.#evictAll(room.evict);
          return;
        }
        if (room.kind === 'none' || this.#adapters.clock.monotonic() > until)
          throw noRoom(worth < TARGET_WORTH && !slot.isDemanded);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #holders(asking: Slot): Holder<Slot>[] {
    const holders: Holder<Slot>[] = [];
    for (const slot of this.#adapters.slots()) {
      if (slot === asking) continue;
      const claimed = this.#claims.get(slot);
      const bytes = claimed ?? slot.memoryBytes();
      if (bytes === 0) continue;
      const isIdle =
        claimed === undefined && slot.state === 'ready' && (slot.serving?.batcher.inFlight ?? 0) === 0;
      holders.push({
        key: slot,
        bytes,
        isIdle,
        lastUsedAt: slot.lastUsedAt,
        worth: this.#adapters.worthOf(slot.record),
      });
    }
    return holders;
  }

  async #evictAll(slots: readonly Slot[]): Promise<void> {
    for (const { record } of slots)
      this.#adapters.log.info(
        { model: record.model, version: record.version },
        'a version is evicted to free memory',
      );
    await Promise.all(slots.map((slot) => this.#adapters.evict(slot)));
  }
}

/** A version that no request waits for counts as evicted and is loaded when a request comes; others are retried. */
function noRoom(mayBeEvicted: boolean): HotloopError {
  return new HotloopError('RESOURCE_EXHAUSTED', 'there is no room in memory for this version', {
    reason: mayBeEvicted ? 'evicted' : 'memory_budget',
  });
}
