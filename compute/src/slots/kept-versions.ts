/** Keys of versions that were loaded by name, or are being loaded. */
export class KeptVersions {
  readonly #kept = new Set<string>();
  /** Number of callers that wait for each load. */
  readonly #loading = new Map<string, number>();

  has(key: string): boolean {
    return this.#kept.has(key) || this.#loading.has(key);
  }

  /**
   * Keeps a version during its load and afterwards until it is released. If the load rejects, the version is not
   * kept.
   */
  async keep(key: string, load: () => Promise<void>): Promise<void> {
    this.#loading.set(key, (this.#loading.get(key) ?? 0) + 1);
    try {
      await load();
      this.#kept.add(key);
    } finally {
      const others = (this.#loading.get(key) ?? 1) - 1;
      if (others > 0) this.#loading.set(key, others);
      else this.#loading.delete(key);
    }
  }

  release(key: string): void {
    this.#kept.delete(key);
  }
}
