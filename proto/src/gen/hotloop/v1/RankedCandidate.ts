// Original file: hotloop/v1/types.proto


export interface RankedCandidate {
  'id'?: (string);
  /**
   * Starts at 1.
   */
  'rank'?: (number);
  'score'?: (number | string);
  /**
   * Probability that the policy puts this candidate at this rank (1 without exploration).
   */
  'propensity'?: (number | string);
}

export interface RankedCandidate__Output {
  'id': (string);
  /**
   * Starts at 1.
   */
  'rank': (number);
  'score': (number);
  /**
   * Probability that the policy puts this candidate at this rank (1 without exploration).
   */
  'propensity': (number);
}
