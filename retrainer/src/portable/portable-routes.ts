import { fuseModel } from '@hotloop/model/fused/fuse-model.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';

export interface PortableDependencies {
  readonly registry: RegistryReader;
  readonly bundles: BundleStore;
}

const params = z.object({
  model: z.string(),
  version: z.string().describe('a number, live, candidate or previous'),
});

/** Versions as files that other engines run. */
export function portableRoutes({ registry, bundles }: PortableDependencies): RouteModule {
  return (app) => {
    app.get(
      '/v1/models/:model/versions/:version/fused',
      {
        config: { requires: 'predict' },
        schema: {
          summary: 'One ONNX file from raw fields to the decision',
          description:
            'Its inputs are in the metadata `hotloop.inputs`. 412 with reason not_fusable says what stands in the way.',
          params,
        },
      },
      async (request, reply) => {
        await registry.refresh();
        const { record } = resolveVersion(registry.current(), request.params.model, request.params.version);
        const bundle = await bundles.get(record.bundleSha256);
        const fused = fuseModel(parseManifest(bundle.manifestYaml), bundle.onnx, record);
        return reply
          .type('application/octet-stream')
          .header('x-hotloop-version', String(record.version))
          .header('x-hotloop-runtime-operators', fused.runtimeOperators.join(','))
          .send(Buffer.from(fused.onnx));
      },
    );
  };
}
