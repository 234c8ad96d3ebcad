import type { ModelRecord, RegistryReader, RegistrySnapshot } from './snapshot.ts';

/** A registry in memory for tests: `set` replaces a model, and the next `refresh` (or `publish`) shows it. */
export interface MemoryRegistry extends RegistryReader {
  set(model: ModelRecord): void;
  /** Publishes the changes at once. */
  publish(): void;
}

export function memoryRegistry(now: () => number = Date.now): MemoryRegistry {
  let stored: ReadonlyMap<string, ModelRecord> = new Map();
  let snapshot: RegistrySnapshot = { models: stored };
  let confirmedAt = now();
  const listeners = new Set<(snapshot: RegistrySnapshot) => void>();
  const publish = () => {
    confirmedAt = now();
    if (snapshot.models === stored) return;
    snapshot = { models: stored };
    for (const listener of [...listeners]) listener(snapshot);
  };
  return {
    current: () => snapshot,
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async refresh() {
      publish();
    },
    confirmedAt: () => confirmedAt,
    set(model) {
      stored = new Map(stored).set(model.name, model);
    },
    publish,
  };
}
