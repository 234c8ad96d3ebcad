import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { loopRoutes } from '../datasets/loop-routes.ts';
import type { LoopReader } from '../datasets/loop-state.ts';
import { outcomeRoutes } from '../outcomes/outcome-routes.ts';
import type { OutcomeDependencies } from '../outcomes/record-outcomes.ts';
import { type PortableDependencies, portableRoutes } from '../portable/portable-routes.ts';

/** What the modules' routes read and write. */
export interface ControlDependencies extends PortableDependencies {
  readonly outcomes: OutcomeDependencies;
  readonly loop: LoopReader;
}

/** The control API over HTTP: one route module for each part of the retrainer, written beside it. */
export function controlRoutes(dependencies: ControlDependencies): readonly RouteModule[] {
  return [portableRoutes(dependencies), outcomeRoutes(dependencies.outcomes), loopRoutes(dependencies.loop)];
}
