import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { RegistrySnapshot } from './snapshot.ts';

/**
 * How long the prediction and decision logs are kept. Their partitions are days with rows of all models, so the
 * longest retention of any live version applies. Undefined, which keeps all, while no model is live.
 */
export function longestRetentionMs(snapshot: RegistrySnapshot): number | undefined {
  let longest: number | undefined;
  for (const model of snapshot.models.values()) {
    const live = model.liveVersion === null ? undefined : model.versions.get(model.liveVersion);
    if (live) longest = Math.max(longest ?? 0, durationMs(live.manifest.log.retention));
  }
  return longest;
}
