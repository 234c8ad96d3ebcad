/**
 * The most frequent values of a stream in bounded memory: Misra and Gries (1982), mergeable after Agarwal et al.
 * (2012). A count is at most `total / capacity` too low and never too high, so every value with a larger share is
 * kept.
 */
export class HeavyHitters {
  readonly capacity: number;
  readonly counts: Map<number, number>;

  constructor(capacity = 64, entries: Iterable<readonly [number, number]> = []) {
    this.capacity = capacity;
    this.counts = new Map(entries);
  }

  add(value: number, times = 1): void {
    const count = this.counts.get(value);
    if (count !== undefined) this.counts.set(value, count + times);
    else if (this.counts.size < this.capacity) this.counts.set(value, times);
    else {
      let least = times;
      for (const kept of this.counts.values()) if (kept < least) least = kept;
      this.#reduce(least);
      if (times > least) this.counts.set(value, times - least);
    }
  }

  merge(other: HeavyHitters): void {
    for (const [value, count] of other.counts) this.counts.set(value, (this.counts.get(value) ?? 0) + count);
    if (this.counts.size <= this.capacity) return;
    const sorted = [...this.counts.values()].sort((a, b) => b - a);
    this.#reduce(sorted[this.capacity]!);
  }

  /** The most frequent first. */
  top(k = this.capacity): [value: number, count: number][] {
    return [...this.counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, k);
  }

  #reduce(by: number): void {
    for (const [value, count] of this.counts)
      if (count <= by) this.counts.delete(value);
      else this.counts.set(value, count - by);
  }
}
