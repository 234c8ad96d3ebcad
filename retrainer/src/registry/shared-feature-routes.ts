import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { currentSharedFeatures, pushSharedFeatures } from './shared-features.ts';

/** `/v1/features`: the versioned features.yaml that models take shared features from. */
export function sharedFeatureRoutes(pool: Pool): RouteModule {
  return (app) => {
    app.get(
      '/v1/features',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'The newest features.yaml',
          response: { 200: z.object({ version: z.int(), yaml: z.string() }) },
        },
      },
      async () => {
        const shared = await currentSharedFeatures(pool);
        if (shared) return shared;
        throw new HotloopError('NOT_FOUND', 'the registry has no features.yaml yet', {
          reason: 'no_features',
        });
      },
    );
    app.put(
      '/v1/features',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Keep a features.yaml as the next version; models that were pushed keep what they took',
          body: z.strictObject({ yaml: z.string().max(1024 * 1024) }),
          response: { 200: z.object({ version: z.int(), features: z.array(z.string()) }) },
        },
      },
      async ({ body, caller }) => pushSharedFeatures(pool, body.yaml, caller.subject, Date.now()),
    );
  };
}
