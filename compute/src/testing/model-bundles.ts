import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { type PerceptronShape, perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { type BundleStore, sha256 } from '@hotloop/platform/registry/bundle-store.ts';
import type { ModelRecord, VersionRecord } from '@hotloop/platform/registry/snapshot.ts';

export const SMALL: PerceptronShape = {
  inputs: 4,
  hidden: [8],
  outputs: 1,
  activation: 'relu',
  head: 'sigmoid',
  seed: 1,
};

/** A manifest with plain numeric features `f0`, `f1`, ... plus the given YAML lines. */
export function featureManifest(name: string, features: number, extra = ''): string {
  const lines = Array.from(
    { length: features },
    (_, index) => `  - {name: f${index}, from: request.f${index}}`,
  );
  return `name: ${name}\ntask: binary\nfeatures:\n${lines.join('\n')}\n${extra}`;
}

/** Stores a bundle and returns the record that a registry would have for it. */
export async function storeVersion(
  store: BundleStore,
  version: number,
  manifestYaml: string,
  onnx: Uint8Array = perceptron({ ...SMALL, seed: version }),
): Promise<VersionRecord> {
  // The registry does not store golden examples; they stay in the bundle.
  const { golden: _, ...manifest } = parseManifest(manifestYaml);
  const bundleSha256 = await store.put({ manifestYaml, onnx });
  return {
    model: manifest.name,
    version,
    bundleSha256,
    onnxSha256: sha256(onnx),
    manifest,
    parentVersion: null,
  };
}

export interface Roles {
  readonly live?: number;
  readonly previous?: number;
  readonly target?: number;
}

export function modelOf(versions: readonly VersionRecord[], roles: Roles): ModelRecord {
  return {
    name: versions[0]?.model ?? '',
    liveVersion: roles.live ?? null,
    previousVersion: roles.previous ?? null,
    targetVersion: roles.target ?? null,
    generation: 1,
    versions: new Map(versions.map((record) => [record.version, record])),
  };
}
