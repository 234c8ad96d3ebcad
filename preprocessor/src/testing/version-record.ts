import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';

export function versionRecord(manifest: Manifest, version = 1): VersionRecord {
  return {
    model: manifest.name,
    version,
    bundleSha256: `${manifest.name}-${version}`,
    onnxSha256: '',
    manifest,
    parentVersion: null,
  };
}
