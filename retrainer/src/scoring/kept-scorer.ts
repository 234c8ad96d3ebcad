import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { openVersionScorer, type VersionScorer } from './version-scorer.ts';

/** Keeps the scorer that was used last, so that the parts of one batch do not load the same version again and again. */
export interface KeptScorer extends Disposable {
  /** The version's scorer, valid until another version is asked for. Throws as `openVersionScorer`. */
  of(record: VersionRecord): Promise<VersionScorer>;
}

/** For one user at a time: asking for another version disposes the one before. */
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
