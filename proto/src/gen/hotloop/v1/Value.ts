// Original file: hotloop/v1/types.proto

import type { NumberList as _hotloop_v1_NumberList, NumberList__Output as _hotloop_v1_NumberList__Output } from '../../hotloop/v1/NumberList.ts';
import type { TextList as _hotloop_v1_TextList, TextList__Output as _hotloop_v1_TextList__Output } from '../../hotloop/v1/TextList.ts';

/**
 * One attribute of a request, a candidate or an event.
 */
export interface Value {
  'number'?: (number | string);
  'text'?: (string);
  'flag'?: (boolean);
  'numbers'?: (_hotloop_v1_NumberList | null);
  'texts'?: (_hotloop_v1_TextList | null);
  'kind'?: "number"|"text"|"flag"|"numbers"|"texts";
}

/**
 * One attribute of a request, a candidate or an event.
 */
export interface Value__Output {
  'number'?: (number);
  'text'?: (string);
  'flag'?: (boolean);
  'numbers'?: (_hotloop_v1_NumberList__Output | null);
  'texts'?: (_hotloop_v1_TextList__Output | null);
  'kind'?: "number"|"text"|"flag"|"numbers"|"texts";
}
