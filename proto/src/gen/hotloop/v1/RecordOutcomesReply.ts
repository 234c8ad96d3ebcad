// Original file: hotloop/v1/feedback.proto

import type { OutcomeResult as _hotloop_v1_OutcomeResult, OutcomeResult__Output as _hotloop_v1_OutcomeResult__Output } from '../../hotloop/v1/OutcomeResult.ts';

export interface RecordOutcomesReply {
  'accepted'?: (number);
  'duplicates'?: (number);
  'results'?: (_hotloop_v1_OutcomeResult)[];
}

export interface RecordOutcomesReply__Output {
  'accepted': (number);
  'duplicates': (number);
  'results': (_hotloop_v1_OutcomeResult__Output)[];
}
