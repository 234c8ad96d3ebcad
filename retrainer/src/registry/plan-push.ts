import { canonicalJson } from '@hotloop/model/canonical-json.ts';
import { completeManifest } from '@hotloop/model/manifest/complete-manifest.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { labelRule } from '@hotloop/model/outcome/label-rule.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { type BundleStore, bundleDigestOf } from '@hotloop/platform/registry/bundle-store.ts';
import { readModelState } from '../rollouts/promotion-store.ts';
import { listRollouts } from '../rollouts/rollout-rows.ts';
import { currentSharedFeatures } from './shared-features.ts';
import { listVersions, type VersionRow } from './version-store.ts';

export const PLANNED_CHANGES = ['none', 'new_model', 'new_version', 'promote'] as const;

/** The changes that a push of a folder, and its rollout, would make. */
export interface PushPlan {
  readonly model: string;
  readonly change: (typeof PLANNED_CHANGES)[number];
  /** The registered version that equals the folder; null if it would become a new version. */
  readonly version: number | null;
  readonly liveVersion: number | null;
  /** The rollout mode of model.yaml. */
  readonly mode: string;
  readonly message: string;
}

/**
 * Compares a model's folder with the registry, without changes. `onnxSha256` is empty for a folder without model.onnx, which keeps
 * the weights. A live version that was retrained from the folder's version counts as up to date. Throws
 * INVALID_ARGUMENT for a model.yaml that would be refused, and what `permit` throws.
 */
export async function planPush(
  given: { readonly manifestYaml: string; readonly onnxSha256: string },
  { pool, bundles }: { readonly pool: Pool; readonly bundles: BundleStore },
  permit?: (manifest: Manifest) => Promise<void>,
): Promise<PushPlan> {
  const manifestYaml = completeManifest(given.manifestYaml, await currentSharedFeatures(pool));
  const manifest = parseManifest(manifestYaml);
  await permit?.(manifest);
  if (manifest.task !== 'tensor') labelRule(manifest);
  const { name: model } = manifest;
  const versions = await listVersions(pool, model);
  const plan = (
    change: PushPlan['change'],
    version: number | null,
    live: number | null,
    message: string,
  ) => ({
    ...{ model, change, version, liveVersion: live, mode: manifest.rollout.mode, message },
  });
  if (versions.length === 0) return plan('new_model', null, null, 'would be registered and go live');
  const { liveVersion } = await readModelState(pool, model);
  const same =
    given.onnxSha256 === ''
      ? await sameManifest(manifest, liveVersion, versions, bundles)
      : versions.find(({ bundleSha256 }) => bundleSha256 === bundleDigestOf(manifestYaml, given.onnxSha256));
  if (same === undefined)
    return plan('new_version', null, liveVersion, `would become version ${(versions[0]?.version ?? 0) + 1}`);
  if (same.version === liveVersion) return plan('none', same.version, liveVersion, 'is live');
  if (descends(liveVersion, same.version, versions))
    return plan('none', same.version, liveVersion, `was retrained since: version ${liveVersion} is live`);
  const [rollout] = await listRollouts(pool, model, 1);
  if (rollout && rollout.version === same.version && rollout.endedAt === null)
    return plan('none', same.version, liveVersion, `is being rolled out (${rollout.state})`);
  return plan('promote', same.version, liveVersion, `version ${same.version} is registered, but not live`);
}

/** Maximum number of versions that are compared, the live one first, then the newest. */
const MOST_COMPARED = 10;

/** The version with the same manifest, apart from golden examples that it received with its weights. */
async function sameManifest(
  manifest: Manifest,
  live: number | null,
  versions: readonly VersionRow[],
  bundles: BundleStore,
): Promise<VersionRow | undefined> {
  const compared = (each: Manifest) =>
    canonicalJson(manifest.golden === undefined ? { ...each, golden: undefined } : each);
  const wanted = compared(manifest);
  const ordered = [...versions].sort((a, b) => Number(b.version === live) - Number(a.version === live));
  for (const version of ordered.slice(0, MOST_COMPARED)) {
    const { manifestYaml } = await bundles.get(version.bundleSha256);
    if (compared(parseManifest(manifestYaml)) === wanted) return version;
  }
  return undefined;
}

/** Whether a version was retrained, in any number of rounds, from the other. */
function descends(version: number | null, from: number, versions: readonly VersionRow[]): boolean {
  const parents = new Map(versions.map((each) => [each.version, each.parentVersion]));
  for (let at = version === null ? null : parents.get(version); at != null; at = parents.get(at))
    if (at === from) return true;
  return false;
}
