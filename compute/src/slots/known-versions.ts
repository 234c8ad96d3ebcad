import type { RegistrySnapshot, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import type { ExecutionProvider, LoadedModel } from '../runner/load-options.ts';
import type { Serving } from './slot.ts';
import type { SlotStatistics } from './slot-statistics.ts';

/** What is known about a version once it was ready; still true after the version is unloaded. */
export interface KnownVersion {
  readonly record: VersionRecord;
  readonly model: LoadedModel;
  /**
   * True when its requests could share a run at that time. If later rows show otherwise, the description does not
   * change.
   */
  readonly isShareable: boolean;
  readonly executionProviders: readonly ExecutionProvider[];
  /** Statistics since its last load. */
  readonly statistics: SlotStatistics;
}

/**
 * All versions that were ready here once and are still registered, so that a version can be described while it is
 * unloaded.
 */
export class KnownVersions {
  readonly #versions = new Map<string, KnownVersion>();

  /** Call when a version is ready. */
  remember({ slot, model, batcher }: Serving): void {
    const { record, executionProviders, statistics } = slot;
    const isShareable = batcher.shareable;
    this.#versions.set(keyOf(record), { record, model, isShareable, executionProviders, statistics });
  }

  find(record: VersionRecord): KnownVersion | undefined {
    return this.#versions.get(keyOf(record));
  }

  /** Forgets versions that are no longer registered. */
  keepOnly(snapshot: RegistrySnapshot): void {
    for (const [key, { record }] of this.#versions) {
      const current = snapshot.models.get(record.model)?.versions.get(record.version);
      if (current === undefined || keyOf(current) !== key) this.#versions.delete(key);
    }
  }
}

/** A name and number may be registered again with other content; the digest distinguishes them. */
function keyOf({ model, version, bundleSha256 }: VersionRecord): string {
  return `${model} ${version} ${bundleSha256}`;
}
