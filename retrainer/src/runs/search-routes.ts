import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { experimentOf, requestSearch } from './drive-search.ts';
import { findSearch, type Search } from './search-store.ts';

const reads = { requires: 'operate' } as const;

/** `/v1/searches`: start a search and read its progress. Its trials are runs of its experiment. */
export function searchRoutes(dependencies: {
  readonly pool: Pool;
  readonly registry: RegistryReader;
}): RouteModule {
  return (app) => {
    app.post(
      '/v1/models/:model/searches',
      {
        config: reads,
        schema: {
          summary: 'Search for better training settings',
          params: z.object({ model: z.string().max(63) }),
          body: z.strictObject({
            trials: z.int().min(1).max(1000).optional(),
            rounds: z.int().min(1).max(10).optional(),
            parallel: z.int().min(1).max(100).optional(),
            method: z.enum(['tpe', 'random']).optional(),
          }),
        },
      },
      async ({ params, body }) => shown(await requestSearch(params.model, body, dependencies)),
    );
    app.get(
      '/v1/searches/:search',
      { config: reads, schema: { summary: 'One search', params: z.object({ search: z.uuid() }) } },
      async ({ params }) => shown(await findSearch(dependencies.pool, params.search)),
    );
  };
}

const shown = (search: Search) => ({ ...search, experiment: experimentOf(search.searchId) });
