// Original file: hotloop/v1/registry.proto

import type { PushHeader as _hotloop_v1_PushHeader, PushHeader__Output as _hotloop_v1_PushHeader__Output } from '../../hotloop/v1/PushHeader.ts';

export interface PushModelRequest {
  'header'?: (_hotloop_v1_PushHeader | null);
  'chunk'?: (Buffer | Uint8Array | string);
  'part'?: "header"|"chunk";
}

export interface PushModelRequest__Output {
  'header'?: (_hotloop_v1_PushHeader__Output | null);
  'chunk'?: (Buffer);
  'part'?: "header"|"chunk";
}
