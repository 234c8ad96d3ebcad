// Original file: hotloop/v1/types.proto


export interface RankedCandidate {
  'id'?: (string);
  /**
   * 1 is the first place.
   */
  'rank'?: (number);
  'score'?: (number | string);
  /**
   * Probability that the policy put this candidate at this rank (1 without exploration).
   */
  'propensity'?: (number | string);
}

export interface RankedCandidate__Output {
  'id': (string);
  /**
   * 1 is the first place.
   */
  'rank': (number);
  'score': (number);
  /**
   * Probability that the policy put this candidate at this rank (1 without exploration).
   */
  'propensity': (number);
}
