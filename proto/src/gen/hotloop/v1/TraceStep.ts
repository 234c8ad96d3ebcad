// Original file: hotloop/v1/jobs.proto

import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from '../../hotloop/v1/Value.ts';

/**
 * One step of the chain: request, output, decision, outcome, dataset, run, gate, promotion.
 */
export interface TraceStep {
  'kind'?: (string);
  /**
   * RFC 3339.
   */
  'at'?: (string);
  'service'?: (string);
  'summary'?: (string);
  'attributes'?: ({[key: string]: _hotloop_v1_Value});
}

/**
 * One step of the chain: request, output, decision, outcome, dataset, run, gate, promotion.
 */
export interface TraceStep__Output {
  'kind': (string);
  /**
   * RFC 3339.
   */
  'at': (string);
  'service': (string);
  'summary': (string);
  'attributes': ({[key: string]: _hotloop_v1_Value__Output});
}
