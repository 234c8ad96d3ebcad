// Original file: hotloop/v1/intake.proto

import type { RefusedEvent as _hotloop_v1_RefusedEvent, RefusedEvent__Output as _hotloop_v1_RefusedEvent__Output } from '../../hotloop/v1/RefusedEvent.ts';

export interface IngestEventsReply {
  'accepted'?: (number);
  'refused'?: (_hotloop_v1_RefusedEvent)[];
}

export interface IngestEventsReply__Output {
  'accepted': (number);
  'refused': (_hotloop_v1_RefusedEvent__Output)[];
}
