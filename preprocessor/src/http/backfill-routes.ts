import type { HttpApp, RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { z } from 'zod';
import type { Backfill } from '../archive/backfill-history.ts';

/** POST /v1/models/{model}/backfill: copies archived events that the model's features use into the history. */
export function backfillRoutes(backfill: Backfill, registry: RegistryReader): RouteModule {
  return (app: HttpApp) => {
    app.post(
      '/v1/models/:model/backfill',
      {
        config: { requires: 'operate' },
        schema: {
          summary:
            'Backfills the history with the archived events that the features of any version of the model use',
          tags: ['events'],
          params: z.object({ model: z.string().min(1).max(128) }),
          body: z.strictObject({
            since: z.string().optional().describe('RFC 3339; default: the whole retention'),
          }),
          response: {
            200: z.object({ types: z.array(z.string()), events: z.int(), seconds: z.number() }),
          },
        },
      },
      async ({ params: { model }, body: { since } }, reply) => {
        const versions = registry.current().models.get(model)?.versions;
        if (versions === undefined) throw new HotloopError('NOT_FOUND', `model ${model} is unknown`);
        const sinceMs = since === undefined ? 0 : parseRfc3339(since);
        if (sinceMs === null)
          throw new HotloopError('INVALID_ARGUMENT', 'since: must be RFC 3339, such as 2026-01-15T12:00:00Z');
        const froms = [...versions.values()].flatMap(({ manifest }) =>
          manifest.features.map(({ from }) => from),
        );
        const types = [
          ...new Set(
            froms.flatMap((from) => (from.startsWith('history.') ? [from.split('.')[2] ?? ''] : [])),
          ),
        ].sort();
        if (types.length === 0)
          throw new HotloopError('FAILED_PRECONDITION', `model ${model} has no features from history`, {
            reason: 'no_history_features',
          });
        const gone = new AbortController();
        reply.raw.once('close', () => !reply.raw.writableFinished && gone.abort());
        return { types, ...(await backfill({ types, sinceMs }, gone.signal)) };
      },
    );
  };
}
