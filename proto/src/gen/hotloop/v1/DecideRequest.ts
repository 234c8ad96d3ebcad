// Original file: hotloop/v1/decision.proto

import type { Tensor as _hotloop_v1_Tensor, Tensor__Output as _hotloop_v1_Tensor__Output } from '../../hotloop/v1/Tensor.ts';
import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from '../../hotloop/v1/Candidate.ts';
import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from '../../hotloop/v1/Value.ts';

export interface DecideRequest {
  'predictionId'?: (string);
  'model'?: (string);
  'version'?: (number);
  'variant'?: (string);
  'outputs'?: (_hotloop_v1_Tensor)[];
  'candidates'?: (_hotloop_v1_Candidate)[];
  'request'?: ({[key: string]: _hotloop_v1_Value});
  'entities'?: ({[key: string]: string});
  /**
   * Candidates that must not be shown; the preprocessor determines them from decision.rank.exclude.
   */
  'excluded'?: (string)[];
  'timeoutMs'?: (number);
  'sampled'?: (boolean);
}

export interface DecideRequest__Output {
  'predictionId': (string);
  'model': (string);
  'version': (number);
  'variant': (string);
  'outputs': (_hotloop_v1_Tensor__Output)[];
  'candidates': (_hotloop_v1_Candidate__Output)[];
  'request': ({[key: string]: _hotloop_v1_Value__Output});
  'entities': ({[key: string]: string});
  /**
   * Candidates that must not be shown; the preprocessor determines them from decision.rank.exclude.
   */
  'excluded': (string)[];
  'timeoutMs': (number);
  'sampled': (boolean);
}
