// Original file: hotloop/v1/intake.proto

import type { Event as _hotloop_v1_Event, Event__Output as _hotloop_v1_Event__Output } from '../../hotloop/v1/Event.ts';

export interface IngestEventsRequest {
  /**
   * At most 10,000.
   */
  'events'?: (_hotloop_v1_Event)[];
}

export interface IngestEventsRequest__Output {
  /**
   * At most 10,000.
   */
  'events': (_hotloop_v1_Event__Output)[];
}
