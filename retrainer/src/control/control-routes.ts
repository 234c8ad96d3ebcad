import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { type PortableDependencies, portableRoutes } from '../portable/portable-routes.ts';

/** What the modules' routes read and write. */
export interface ControlDependencies extends PortableDependencies {}

/** The control API over HTTP: one route module for each part of the retrainer, written beside it. */
export function controlRoutes(dependencies: ControlDependencies): readonly RouteModule[] {
  return [portableRoutes(dependencies)];
}
