// Original file: hotloop/v1/decision.proto

import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from '../../hotloop/v1/Decision.ts';

export interface DecideReply {
  'decision'?: (_hotloop_v1_Decision | null);
}

export interface DecideReply__Output {
  'decision': (_hotloop_v1_Decision__Output | null);
}
