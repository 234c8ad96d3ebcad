// Original file: hotloop/v1/registry.proto

import type { Long } from '@grpc/proto-loader';

export interface Model {
  'name'?: (string);
  'task'?: (string);
  'liveVersion'?: (number);
  'previousVersion'?: (number);
  'generation'?: (number | string | Long);
  'versions'?: (number);
}

export interface Model__Output {
  'name': (string);
  'task': (string);
  'liveVersion': (number);
  'previousVersion': (number);
  'generation': (number);
  'versions': (number);
}
