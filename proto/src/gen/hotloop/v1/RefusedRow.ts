// Original file: hotloop/v1/intake.proto

import type { Long } from '@grpc/proto-loader';

export interface RefusedRow {
  'line'?: (number | string | Long);
  'problem'?: (string);
}

export interface RefusedRow__Output {
  'line': (number);
  'problem': (string);
}
