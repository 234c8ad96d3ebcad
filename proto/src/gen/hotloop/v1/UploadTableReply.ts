// Original file: hotloop/v1/intake.proto

import type { RefusedRow as _hotloop_v1_RefusedRow, RefusedRow__Output as _hotloop_v1_RefusedRow__Output } from '../../hotloop/v1/RefusedRow.ts';
import type { Long } from '@grpc/proto-loader';

export interface UploadTableReply {
  'table'?: (string);
  'version'?: (number);
  'rows'?: (number | string | Long);
  'refused'?: (number | string | Long);
  /**
   * The first rejected rows.
   */
  'refusedRows'?: (_hotloop_v1_RefusedRow)[];
}

export interface UploadTableReply__Output {
  'table': (string);
  'version': (number);
  'rows': (number);
  'refused': (number);
  /**
   * The first rejected rows.
   */
  'refusedRows': (_hotloop_v1_RefusedRow__Output)[];
}
