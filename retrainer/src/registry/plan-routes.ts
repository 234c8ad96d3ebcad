import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { z } from 'zod';
import { permitPush } from './permit-push.ts';
import { PLANNED_CHANGES, planPush } from './plan-push.ts';

/** Route that returns what a push would change. */
export function planRoutes(stores: { readonly pool: Pool; readonly bundles: BundleStore }): RouteModule {
  return (app) => {
    app.post(
      '/v1/plan',
      {
        config: { requires: 'operate', checksModel: true },
        schema: {
          summary: 'What a push of this model.yaml and file, and its rollout, would change; changes nothing',
          body: z.strictObject({
            manifest_yaml: z.string().min(1),
            onnx_sha256: z
              .string()
              .regex(/^([0-9a-f]{64})?$/)
              .default('')
              .describe('Empty for a folder without model.onnx'),
          }),
          response: {
            200: z.object({
              model: z.string(),
              change: z.enum(PLANNED_CHANGES),
              version: z.int().nullable(),
              live_version: z.int().nullable(),
              mode: z.string(),
              message: z.string(),
            }),
          },
        },
      },
      async ({ body, caller }) => {
        const given = { manifestYaml: body.manifest_yaml, onnxSha256: body.onnx_sha256 };
        const permit = (manifest: Manifest) => permitPush(caller, manifest, stores.pool);
        const { liveVersion, ...plan } = await planPush(given, stores, permit);
        return { ...plan, live_version: liveVersion };
      },
    );
  };
}
