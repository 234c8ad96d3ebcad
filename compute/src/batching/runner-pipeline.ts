/** Requests that were sent to a runner as one batch. */
export interface SentBatch<T> {
  readonly works: readonly T[];
  readonly rows: number;
}

/** The batches sent to one runner, in the order in which it runs them: the first is running, the others wait. */
export class RunnerPipeline<T> {
  #batches: SentBatch<T>[] = [];
  /** Monotonic time at which the first batch became the first, which is about when its run started. */
  #firstSince = 0;
  /** True when the running work did not cause the runner's end. */
  isPardoned = false;

  get batches(): readonly SentBatch<T>[] {
    return this.#batches;
  }

  get rows(): number {
    let rows = 0;
    for (const batch of this.#batches) rows += batch.rows;
    return rows;
  }

  /** How long the first batch has been running, in milliseconds; 0 without a batch. */
  runningMs(now: number): number {
    return this.#batches.length === 0 ? 0 : now - this.#firstSince;
  }

  push(batch: SentBatch<T>, now: number): void {
    if (this.#batches.length === 0) this.#firstSince = now;
    this.#batches.push(batch);
  }

  /** Removes an answered batch. Returns false when it is no longer here. */
  settle(batch: SentBatch<T>, now: number): boolean {
    const index = this.#batches.indexOf(batch);
    if (index < 0) return false;
    this.#batches.splice(index, 1);
    if (index === 0) this.#firstSince = now;
    return true;
  }

  /** The runner has ended: removes and returns the running work and the waiting work. */
  clear(): { readonly ran: readonly T[]; readonly waited: readonly T[] } {
    const [first, ...others] = this.#batches;
    this.#batches = [];
    return { ran: first?.works ?? [], waited: others.flatMap((batch) => batch.works) };
  }
}
