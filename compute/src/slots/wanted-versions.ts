import type { ModelRecord, RegistrySnapshot, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';

/** Versions that pipelines of other models use, by model. */
export type PinnedVersions = ReadonlyMap<string, ReadonlySet<number>>;

/**
 * The versions of a model that are loaded without a request: live, previous, target, those of rollouts, and those
 * that pipelines use.
 */
export function wantedVersions(model: ModelRecord, pinned: PinnedVersions): VersionRecord[] {
  const wanted = new Set([...versionsWithRole(model), ...(pinned.get(model.name) ?? [])]);
  return [...wanted].flatMap((version) => model.versions.get(version) ?? []);
}

/** The versions that the pipelines of all wanted versions use, and those that these use in turn. */
export function pinnedVersions(snapshot: RegistrySnapshot): PinnedVersions {
  const pinned = new Map<string, Set<number>>();
  const pin = (record: VersionRecord | undefined): void => {
    for (const { model, version } of record?.manifest.pipeline ?? []) {
      const versions = pinned.get(model) ?? new Set<number>();
      pinned.set(model, versions);
      if (versions.has(version)) continue;
      versions.add(version);
      pin(snapshot.models.get(model)?.versions.get(version));
    }
  };
  for (const model of snapshot.models.values())
    for (const version of versionsWithRole(model)) pin(model.versions.get(version));
  return pinned;
}

function versionsWithRole(model: ModelRecord): Set<number> {
  const inRollouts = (model.rollouts ?? []).flatMap(({ arms }) => arms.map(({ version }) => version));
  const all = [model.targetVersion, model.liveVersion, model.previousVersion, ...inRollouts];
  return new Set(all.filter((version) => version !== null));
}
