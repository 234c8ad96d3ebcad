// Original file: hotloop/v1/intake.proto

import type { UploadTableHeader as _hotloop_v1_UploadTableHeader, UploadTableHeader__Output as _hotloop_v1_UploadTableHeader__Output } from '../../hotloop/v1/UploadTableHeader.ts';

export interface UploadTableRequest {
  'header'?: (_hotloop_v1_UploadTableHeader | null);
  'chunk'?: (Buffer | Uint8Array | string);
  'part'?: "header"|"chunk";
}

export interface UploadTableRequest__Output {
  'header'?: (_hotloop_v1_UploadTableHeader__Output | null);
  'chunk'?: (Buffer);
  'part'?: "header"|"chunk";
}
