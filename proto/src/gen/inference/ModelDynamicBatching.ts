// Original file: inference/model_config.proto

import type { Long } from '@grpc/proto-loader';

export interface ModelDynamicBatching {
  'preferredBatchSize'?: (number)[];
  'maxQueueDelayMicroseconds'?: (number | string | Long);
}

export interface ModelDynamicBatching__Output {
  'preferredBatchSize': (number)[];
  'maxQueueDelayMicroseconds': (string);
}
