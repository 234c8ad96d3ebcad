import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from './hotloop/v1/Candidate.ts';
import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from './hotloop/v1/Decision.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from './hotloop/v1/Failure.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from './hotloop/v1/FeatureStatus.ts';
import type { InferFrame as _hotloop_v1_InferFrame, InferFrame__Output as _hotloop_v1_InferFrame__Output } from './hotloop/v1/InferFrame.ts';
import type { InferItem as _hotloop_v1_InferItem, InferItem__Output as _hotloop_v1_InferItem__Output } from './hotloop/v1/InferItem.ts';
import type { InferOutput as _hotloop_v1_InferOutput, InferOutput__Output as _hotloop_v1_InferOutput__Output } from './hotloop/v1/InferOutput.ts';
import type { InferReplyFrame as _hotloop_v1_InferReplyFrame, InferReplyFrame__Output as _hotloop_v1_InferReplyFrame__Output } from './hotloop/v1/InferReplyFrame.ts';
import type { InferReplyItem as _hotloop_v1_InferReplyItem, InferReplyItem__Output as _hotloop_v1_InferReplyItem__Output } from './hotloop/v1/InferReplyItem.ts';
import type { InferenceServiceClient as _hotloop_v1_InferenceServiceClient, InferenceServiceDefinition as _hotloop_v1_InferenceServiceDefinition } from './hotloop/v1/InferenceService.ts';
import type { NumberList as _hotloop_v1_NumberList, NumberList__Output as _hotloop_v1_NumberList__Output } from './hotloop/v1/NumberList.ts';
import type { RankedCandidate as _hotloop_v1_RankedCandidate, RankedCandidate__Output as _hotloop_v1_RankedCandidate__Output } from './hotloop/v1/RankedCandidate.ts';
import type { Tensor as _hotloop_v1_Tensor, Tensor__Output as _hotloop_v1_Tensor__Output } from './hotloop/v1/Tensor.ts';
import type { TextList as _hotloop_v1_TextList, TextList__Output as _hotloop_v1_TextList__Output } from './hotloop/v1/TextList.ts';
import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from './hotloop/v1/Value.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  hotloop: {
    v1: {
      Candidate: MessageTypeDefinition<_hotloop_v1_Candidate, _hotloop_v1_Candidate__Output>
      Decision: MessageTypeDefinition<_hotloop_v1_Decision, _hotloop_v1_Decision__Output>
      Failure: MessageTypeDefinition<_hotloop_v1_Failure, _hotloop_v1_Failure__Output>
      FeatureStatus: MessageTypeDefinition<_hotloop_v1_FeatureStatus, _hotloop_v1_FeatureStatus__Output>
      InferFrame: MessageTypeDefinition<_hotloop_v1_InferFrame, _hotloop_v1_InferFrame__Output>
      InferItem: MessageTypeDefinition<_hotloop_v1_InferItem, _hotloop_v1_InferItem__Output>
      InferOutput: MessageTypeDefinition<_hotloop_v1_InferOutput, _hotloop_v1_InferOutput__Output>
      InferReplyFrame: MessageTypeDefinition<_hotloop_v1_InferReplyFrame, _hotloop_v1_InferReplyFrame__Output>
      InferReplyItem: MessageTypeDefinition<_hotloop_v1_InferReplyItem, _hotloop_v1_InferReplyItem__Output>
      /**
       * How the preprocessor calls compute: the content of the Open Inference Protocol plus the fields of the prediction log,
       * with many items per frame, because a message on a stream costs more than a small model.
       */
      InferenceService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_InferenceServiceClient> & { service: _hotloop_v1_InferenceServiceDefinition }
      NumberList: MessageTypeDefinition<_hotloop_v1_NumberList, _hotloop_v1_NumberList__Output>
      RankedCandidate: MessageTypeDefinition<_hotloop_v1_RankedCandidate, _hotloop_v1_RankedCandidate__Output>
      Tensor: MessageTypeDefinition<_hotloop_v1_Tensor, _hotloop_v1_Tensor__Output>
      TextList: MessageTypeDefinition<_hotloop_v1_TextList, _hotloop_v1_TextList__Output>
      Value: MessageTypeDefinition<_hotloop_v1_Value, _hotloop_v1_Value__Output>
    }
  }
}

