import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { directoryBundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import type { BenchModel } from '../models/bench-models.ts';

/** Registers version 1 of a model and makes it live, in a database without a retrainer. `store` is a folder. */
export async function registerModel(pool: Pool, store: string, model: BenchModel): Promise<void> {
  const manifestYaml = `name: ${model.name}\ntask: tensor\n`;
  const bundle = await directoryBundleStore(store).put({ manifestYaml, onnx: model.onnx });
  await pool.query('INSERT INTO model (name, live_version) VALUES ($1, 1)', [model.name]);
  await pool.query(
    'INSERT INTO model_version (model, version, bundle_sha256, onnx_sha256, manifest) VALUES ($1, 1, $2, $3, $4)',
    [model.name, bundle, sha256(model.onnx), parseManifest(manifestYaml)],
  );
}
