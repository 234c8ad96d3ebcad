// Original file: hotloop/v1/prediction.proto

import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from '../../hotloop/v1/Value.ts';
import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from '../../hotloop/v1/Candidate.ts';

export interface PredictRequest {
  'model'?: (string);
  /**
   * A version number, or a label: live (default), candidate, previous.
   */
  'version'?: (string);
  /**
   * UUIDv7 chosen by the caller so that a retry is logged once. Chosen by the server when empty.
   */
  'predictionId'?: (string);
  /**
   * The entities whose history is read and by which outcomes are joined, such as {user: u1}.
   */
  'entities'?: ({[key: string]: string});
  'request'?: ({[key: string]: _hotloop_v1_Value});
  'candidates'?: (_hotloop_v1_Candidate)[];
  /**
   * Remaining time in milliseconds, for items of a batch or stream; 0 takes the call's deadline.
   */
  'timeoutMs'?: (number);
  /**
   * Asks for feature_statuses in the reply.
   */
  'wantFeatureStatuses'?: (boolean);
  /**
   * W3C trace context of the caller.
   */
  'traceparent'?: (string);
}

export interface PredictRequest__Output {
  'model': (string);
  /**
   * A version number, or a label: live (default), candidate, previous.
   */
  'version': (string);
  /**
   * UUIDv7 chosen by the caller so that a retry is logged once. Chosen by the server when empty.
   */
  'predictionId': (string);
  /**
   * The entities whose history is read and by which outcomes are joined, such as {user: u1}.
   */
  'entities': ({[key: string]: string});
  'request': ({[key: string]: _hotloop_v1_Value__Output});
  'candidates': (_hotloop_v1_Candidate__Output)[];
  /**
   * Remaining time in milliseconds, for items of a batch or stream; 0 takes the call's deadline.
   */
  'timeoutMs': (number);
  /**
   * Asks for feature_statuses in the reply.
   */
  'wantFeatureStatuses': (boolean);
  /**
   * W3C trace context of the caller.
   */
  'traceparent': (string);
}
