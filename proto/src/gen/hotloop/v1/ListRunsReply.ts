// Original file: hotloop/v1/jobs.proto

import type { Run as _hotloop_v1_Run, Run__Output as _hotloop_v1_Run__Output } from '../../hotloop/v1/Run.ts';

export interface ListRunsReply {
  'runs'?: (_hotloop_v1_Run)[];
}

export interface ListRunsReply__Output {
  'runs': (_hotloop_v1_Run__Output)[];
}
