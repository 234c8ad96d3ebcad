import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { stepFields } from '@hotloop/model/manifest/pipeline-schema.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';

/**
 * Throws FAILED_PRECONDITION `bad_pipeline` for a step whose version is not registered, or has task ranking, and for a step whose
 * answer no feature reads. Steps are existing versions, so a pipeline cannot contain itself.
 */
export async function checkPipeline(
  pool: Queryable,
  bundles: BundleStore,
  manifest: Manifest,
): Promise<void> {
  const read = new Set(manifest.features.map(({ from }) => from));
  for (const { model, version, as } of manifest.pipeline ?? []) {
    const { rows } = await pool.query<{ bundle_sha256: string }>(
      'SELECT bundle_sha256 FROM model_version WHERE model = $1 AND version = $2',
      [model, version],
    );
    if (rows[0] === undefined) throw refusal(manifest, as, `model ${model} has no version ${version}`);
    const { task } = parseManifest((await bundles.get(rows[0].bundle_sha256)).manifestYaml);
    if (task === 'ranking' || task === 'tensor')
      throw refusal(manifest, as, `${model} has task ${task}, whose answer is no field`);
    if (!stepFields(as).some((field) => read.has(`request.${field}`)))
      throw refusal(
        manifest,
        as,
        `no feature reads request.${as}_score, request.${as}_label or request.${as}_scores`,
      );
  }
}

function refusal(manifest: Manifest, as: string, problem: string): HotloopError {
  return new HotloopError('FAILED_PRECONDITION', `model ${manifest.name}: pipeline step ${as}: ${problem}`, {
    reason: 'bad_pipeline',
  });
}
