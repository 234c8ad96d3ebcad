import type { RouteModule } from '@hotloop/platform/http/http-server.ts';

/** The control API over HTTP: one route module for each part of the retrainer, written beside it. */
export function controlRoutes(): readonly RouteModule[] {
  return [];
}
