import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import type { VersionRecord } from '../snapshot.ts';

/** A registered version of a model that takes one number, for tests. */
export function versionOf(model: string, version: number): VersionRecord {
  return {
    model,
    version,
    bundleSha256: String(version).repeat(64).slice(0, 64),
    onnxSha256: '0'.repeat(64),
    manifest: manifestSchema.parse({ name: model, features: [{ name: 'x', from: 'request.x' }] }),
    parentVersion: null,
  };
}
