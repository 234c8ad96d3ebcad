import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { type Manifest, manifestSchema } from '@hotloop/proto/manifest.ts';
import type { z } from 'zod';

type Given = z.input<typeof manifestSchema>;

/** A manifest with its defaults filled in, as a registry holds it. */
export function manifestOf(given: Partial<Given> & Pick<Given, 'features'>): Manifest {
  return manifestSchema.parse({ name: 'model', ...given });
}

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

/** A null-prototype record, as attributes and entities arrive. */
export function record<T>(values: Readonly<Record<string, T>>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, values);
}
