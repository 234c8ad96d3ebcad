import type { RouteModule } from '@hotloop/platform/http/http-server.ts';

/** The front door over HTTP: one route module for each resource. */
export function predictionRoutes(): readonly RouteModule[] {
  return [];
}
