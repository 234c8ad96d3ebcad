import type { RegistrySnapshot, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import type { ExecutionProvider, LoadedModel } from '../runner/load-options.ts';
import type { Slot } from './slot.ts';
import type { SlotStatistics } from './slot-statistics.ts';

/** What a version turned out to be when it was ready: true of it whether it is loaded or not. */
export interface KnownVersion {
  readonly record: VersionRecord;
  readonly model: LoadedModel;
  /** True when its requests could share a run by then; what real rows show later does not change how it is described. */
  readonly isShareable: boolean;
  readonly executionProviders: readonly ExecutionProvider[];
  /** Of the last time that it was loaded. */
  readonly statistics: SlotStatistics;
}

/** All versions that were ready here once and are still registered, so that one can be described while it sleeps. */
export class KnownVersions {
  readonly #versions = new Map<string, KnownVersion>();

  /** To be called with a slot that is ready. */
  remember({ record, model, batcher, executionProviders, statistics }: Slot): void {
    if (!model) return;
    const isShareable = batcher?.shareable === true;
    this.#versions.set(keyOf(record), { record, model, isShareable, executionProviders, statistics });
  }

  find(record: VersionRecord): KnownVersion | undefined {
    return this.#versions.get(keyOf(record));
  }

  /** Forgets what is registered no longer. */
  keepOnly(snapshot: RegistrySnapshot): void {
    for (const [key, { record }] of this.#versions) {
      const current = snapshot.models.get(record.model)?.versions.get(record.version);
      if (current === undefined || keyOf(current) !== key) this.#versions.delete(key);
    }
  }
}

/** A name and a number may come back as something else; the digest is what it is. */
function keyOf({ model, version, bundleSha256 }: VersionRecord): string {
  return `${model} ${version} ${bundleSha256}`;
}
