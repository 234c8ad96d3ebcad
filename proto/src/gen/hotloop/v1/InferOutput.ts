// Original file: hotloop/v1/inference.proto

import type { Tensor as _hotloop_v1_Tensor, Tensor__Output as _hotloop_v1_Tensor__Output } from '../../hotloop/v1/Tensor.ts';

export interface InferOutput {
  'outputs'?: (_hotloop_v1_Tensor)[];
  'queueUs'?: (number);
  'runUs'?: (number);
}

export interface InferOutput__Output {
  'outputs': (_hotloop_v1_Tensor__Output)[];
  'queueUs': (number);
  'runUs': (number);
}
