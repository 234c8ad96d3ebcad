import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { readStatus, type StatusDependencies } from './read-status.ts';

/** `GET /v1/status`: the overview for operators. */
export function statusRoutes(dependencies: StatusDependencies): RouteModule {
  return (app) => {
    app.get(
      '/v1/status',
      {
        config: { requires: 'operate' },
        schema: {
          summary:
            'Models, memory by version and node, loop counters, runs, rollouts, alarms, lag of the log',
        },
      },
      async () => readStatus(dependencies),
    );
  };
}
