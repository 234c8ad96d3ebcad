import { openEventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { z } from 'zod';
import { checkParity } from './check-parity.ts';

/** Events are archived every few seconds, so the requests of the last seconds are left for the next check. */
const SETTLE_MS = 15_000;
const MOST_REQUESTS = 1_000_000;

export interface ParityRouteDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly objects: ObjectStore;
}

/** Route that compares served features with those recomputed from archived events. */
export function parityRoutes({ pool, registry, objects }: ParityRouteDependencies): RouteModule {
  return (app) => {
    app.post(
      '/v1/models/:model/parity',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Recomputes logged requests from archived events, and names the features that disagree',
          params: z.object({ model: z.string() }),
          body: z.strictObject({
            since: z.string().optional().describe('RFC 3339; a day ago when absent'),
            most: z.int().min(1).max(MOST_REQUESTS).default(100_000).describe('Requests at most'),
          }),
          response: {
            200: z.object({
              compared: z.int(),
              equal: z.int(),
              skipped: z.int(),
              features: z.array(z.string()),
              disagreeing: z.array(
                z.object({
                  feature: z.string(),
                  differing: z.int(),
                  first_prediction: z.string(),
                  served: z.number().nullable(),
                  recomputed: z.number().nullable(),
                }),
              ),
            }),
          },
        },
      },
      async ({ params: { model }, body: { since, most } }) => {
        const versions = registry.current().models.get(model)?.versions;
        if (versions === undefined) throw new HotloopError('NOT_FOUND', `model ${model} is unknown`);
        const nowMs = Date.now();
        const sinceMs = since === undefined ? nowMs - DAY_MS : parseRfc3339(since);
        if (sinceMs === null)
          throw new HotloopError('INVALID_ARGUMENT', 'since: must be RFC 3339, such as 2026-01-15T12:00:00Z');
        await using archive = await openEventArchive(objects);
        const parity = await checkParity(
          { pool, archive, manifestOf: (_model, version) => versions.get(version)?.manifest },
          { model, sinceMs, untilMs: nowMs - SETTLE_MS, most },
        );
        return {
          ...parity,
          features: [...parity.features],
          disagreeing: parity.disagreeing.map(
            ({ feature, differing, firstPrediction, served, recomputed }) => ({
              ...{ feature, differing, first_prediction: firstPrediction },
              served: Number.isFinite(served) ? served : null,
              recomputed: Number.isFinite(recomputed) ? recomputed : null,
            }),
          ),
        };
      },
    );
  };
}
