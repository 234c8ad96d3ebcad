import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import type { Predictor } from '../predict.ts';
import type { TimeoutOptions } from '../server.ts';
import { outcomeRoutes } from './outcome-routes.ts';
import { predictRoutes } from './predict-routes.ts';

export interface FrontDoor {
  readonly predictor: Predictor;
  readonly timeouts: TimeoutOptions;
  /** Without it outcomes are not taken here. */
  readonly feedback?: FeedbackPort;
}

/** The front door over HTTP: one route module for each resource. */
export function predictionRoutes({ predictor, timeouts, feedback }: FrontDoor): readonly RouteModule[] {
  return [predictRoutes(predictor, timeouts), ...(feedback ? [outcomeRoutes(feedback)] : [])];
}
