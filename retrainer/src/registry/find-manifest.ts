import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { findLiveOrNewest } from './version-store.ts';

/** The manifest of a model's live version, else of its newest. Throws NOT_FOUND for a model that is not registered. */
export async function findVersionManifest(
  { pool, bundles }: { readonly pool: Pool; readonly bundles: BundleStore },
  model: string,
): Promise<Manifest> {
  const version = await findLiveOrNewest(pool, model);
  if (version === null)
    throw new HotloopError('NOT_FOUND', `model ${JSON.stringify(model.slice(0, 80))} is not registered`);
  return parseManifest((await bundles.get(version.bundleSha256)).manifestYaml);
}
