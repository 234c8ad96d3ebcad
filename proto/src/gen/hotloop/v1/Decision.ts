// Original file: hotloop/v1/types.proto

import type { RankedCandidate as _hotloop_v1_RankedCandidate, RankedCandidate__Output as _hotloop_v1_RankedCandidate__Output } from '../../hotloop/v1/RankedCandidate.ts';

/**
 * The decision computed from a model's output.
 */
export interface Decision {
  /**
   * binary and multiclass: the chosen label.
   */
  'label'?: (string);
  /**
   * binary: probability of the positive class. multiclass: probability of the label. regression: the value.
   * ranking: score of the first ranked candidate.
   */
  'score'?: (number | string);
  /**
   * multiclass: one per class. ranking: one per candidate in the order of the request. Otherwise empty.
   */
  'scores'?: (number | string)[];
  /**
   * ranking only, best first.
   */
  'ranked'?: (_hotloop_v1_RankedCandidate)[];
}

/**
 * The decision computed from a model's output.
 */
export interface Decision__Output {
  /**
   * binary and multiclass: the chosen label.
   */
  'label': (string);
  /**
   * binary: probability of the positive class. multiclass: probability of the label. regression: the value.
   * ranking: score of the first ranked candidate.
   */
  'score': (number);
  /**
   * multiclass: one per class. ranking: one per candidate in the order of the request. Otherwise empty.
   */
  'scores': (number)[];
  /**
   * ranking only, best first.
   */
  'ranked': (_hotloop_v1_RankedCandidate__Output)[];
}
