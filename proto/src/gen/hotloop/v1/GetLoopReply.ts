// Original file: hotloop/v1/jobs.proto

import type { Run as _hotloop_v1_Run, Run__Output as _hotloop_v1_Run__Output } from '../../hotloop/v1/Run.ts';
import type { Long } from '@grpc/proto-loader';

export interface GetLoopReply {
  'model'?: (string);
  'liveVersion'?: (number);
  /**
   * Distinct prediction ids in the prediction log.
   */
  'predictionsLogged'?: (number | string | Long);
  'outcomes'?: (number | string | Long);
  /**
   * Outcomes without a matching prediction so far.
   */
  'outcomesUnmatched'?: (number | string | Long);
  'messagesSetAside'?: (number | string | Long);
  'latestRun'?: (_hotloop_v1_Run | null);
}

export interface GetLoopReply__Output {
  'model': (string);
  'liveVersion': (number);
  /**
   * Distinct prediction ids in the prediction log.
   */
  'predictionsLogged': (number);
  'outcomes': (number);
  /**
   * Outcomes without a matching prediction so far.
   */
  'outcomesUnmatched': (number);
  'messagesSetAside': (number);
  'latestRun': (_hotloop_v1_Run__Output | null);
}
