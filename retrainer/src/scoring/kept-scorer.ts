import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { openVersionScorer, type VersionScorer } from './version-scorer.ts';

/** Caches the scorer that was used last, so that the parts of one batch load a version only once. */
export interface KeptScorer extends Disposable {
  /** The version's scorer, valid until another version is asked for. Throws as `openVersionScorer`. */
  of(record: VersionRecord): Promise<VersionScorer>;
}

/** Must be used by one caller at a time: a request for another version disposes the previous scorer. */
export function keepScorer(bundles: BundleStore): KeptScorer {
  let kept: VersionScorer | undefined;
  return {
    async of(record) {
      if (kept?.record.model === record.model && kept.record.version === record.version) return kept;
      const opened = await openVersionScorer(bundles, record);
      kept?.[Symbol.dispose]();
      kept = opened;
      return opened;
    },
    [Symbol.dispose]() {
      kept?.[Symbol.dispose]();
      kept = undefined;
    },
  };
}
