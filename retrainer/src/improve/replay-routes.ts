import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { type ReplayDependencies, replay } from './replay.ts';

/** `POST /v1/models/{model}/replay`: logged requests through a candidate. */
export function replayRoutes(dependencies: ReplayDependencies): RouteModule {
  return (app) => {
    app.post(
      '/v1/models/:model/replay',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'What a version would have shown for logged requests, and what that would have been worth',
          params: z.object({ model: z.string().max(63) }),
          body: z.strictObject({
            candidate: z.int().min(1),
            since: z.iso.datetime({ offset: true }).describe('Only requests since then'),
          }),
        },
      },
      ({ params, body }) =>
        replay(
          { model: params.model, candidate: body.candidate, since: Date.parse(body.since) },
          dependencies,
        ),
    );
  };
}
