import type { Clock } from '@hotloop/platform/clock.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import type { Backfill } from '../archive/backfill-history.ts';
import type { Explainer } from '../explain.ts';
import type { Predictor } from '../predict.ts';
import type { TimeoutOptions } from '../server.ts';
import type { TableStore } from '../tables/table-store.ts';
import type { TakeEvents } from '../take-events.ts';
import { backfillRoutes } from './backfill-routes.ts';
import { eventRoutes } from './event-routes.ts';
import { explainRoutes } from './explain-routes.ts';
import { outcomeRoutes } from './outcome-routes.ts';
import { predictRoutes } from './predict-routes.ts';
import { tableRoutes } from './table-routes.ts';

export interface FrontDoor {
  readonly predictor: Predictor;
  readonly explainer: Explainer;
  readonly timeouts: TimeoutOptions;
  /** Without it, outcomes are not accepted here. */
  readonly feedback?: FeedbackPort;
  /** Without it, tables cannot be uploaded here. */
  readonly tables?: TableStore;
  /** Without it, there is no archive for backfills. */
  readonly backfill?: { readonly run: Backfill; readonly registry: RegistryReader };
  readonly take: TakeEvents;
  readonly clock: Clock;
}

/** The preprocessor's HTTP API: one route module per resource. */
export function predictionRoutes(door: FrontDoor): readonly RouteModule[] {
  return [
    predictRoutes(door.predictor, door.timeouts),
    explainRoutes(door.explainer, door.timeouts),
    ...(door.feedback ? [outcomeRoutes(door.feedback)] : []),
    ...(door.tables ? [tableRoutes(door.tables)] : []),
    ...(door.backfill ? [backfillRoutes(door.backfill.run, door.backfill.registry)] : []),
    eventRoutes(door.take, door.clock),
  ];
}
