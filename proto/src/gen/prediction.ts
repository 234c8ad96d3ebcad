import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from './hotloop/v1/Candidate.ts';
import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from './hotloop/v1/Decision.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from './hotloop/v1/Failure.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from './hotloop/v1/FeatureStatus.ts';
import type { NumberList as _hotloop_v1_NumberList, NumberList__Output as _hotloop_v1_NumberList__Output } from './hotloop/v1/NumberList.ts';
import type { PredictBatchReply as _hotloop_v1_PredictBatchReply, PredictBatchReply__Output as _hotloop_v1_PredictBatchReply__Output } from './hotloop/v1/PredictBatchReply.ts';
import type { PredictBatchRequest as _hotloop_v1_PredictBatchRequest, PredictBatchRequest__Output as _hotloop_v1_PredictBatchRequest__Output } from './hotloop/v1/PredictBatchRequest.ts';
import type { PredictFrame as _hotloop_v1_PredictFrame, PredictFrame__Output as _hotloop_v1_PredictFrame__Output } from './hotloop/v1/PredictFrame.ts';
import type { PredictItem as _hotloop_v1_PredictItem, PredictItem__Output as _hotloop_v1_PredictItem__Output } from './hotloop/v1/PredictItem.ts';
import type { PredictReply as _hotloop_v1_PredictReply, PredictReply__Output as _hotloop_v1_PredictReply__Output } from './hotloop/v1/PredictReply.ts';
import type { PredictReplyFrame as _hotloop_v1_PredictReplyFrame, PredictReplyFrame__Output as _hotloop_v1_PredictReplyFrame__Output } from './hotloop/v1/PredictReplyFrame.ts';
import type { PredictReplyItem as _hotloop_v1_PredictReplyItem, PredictReplyItem__Output as _hotloop_v1_PredictReplyItem__Output } from './hotloop/v1/PredictReplyItem.ts';
import type { PredictRequest as _hotloop_v1_PredictRequest, PredictRequest__Output as _hotloop_v1_PredictRequest__Output } from './hotloop/v1/PredictRequest.ts';
import type { PredictResult as _hotloop_v1_PredictResult, PredictResult__Output as _hotloop_v1_PredictResult__Output } from './hotloop/v1/PredictResult.ts';
import type { PredictionServiceClient as _hotloop_v1_PredictionServiceClient, PredictionServiceDefinition as _hotloop_v1_PredictionServiceDefinition } from './hotloop/v1/PredictionService.ts';
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
      NumberList: MessageTypeDefinition<_hotloop_v1_NumberList, _hotloop_v1_NumberList__Output>
      PredictBatchReply: MessageTypeDefinition<_hotloop_v1_PredictBatchReply, _hotloop_v1_PredictBatchReply__Output>
      PredictBatchRequest: MessageTypeDefinition<_hotloop_v1_PredictBatchRequest, _hotloop_v1_PredictBatchRequest__Output>
      PredictFrame: MessageTypeDefinition<_hotloop_v1_PredictFrame, _hotloop_v1_PredictFrame__Output>
      PredictItem: MessageTypeDefinition<_hotloop_v1_PredictItem, _hotloop_v1_PredictItem__Output>
      PredictReply: MessageTypeDefinition<_hotloop_v1_PredictReply, _hotloop_v1_PredictReply__Output>
      PredictReplyFrame: MessageTypeDefinition<_hotloop_v1_PredictReplyFrame, _hotloop_v1_PredictReplyFrame__Output>
      PredictReplyItem: MessageTypeDefinition<_hotloop_v1_PredictReplyItem, _hotloop_v1_PredictReplyItem__Output>
      PredictRequest: MessageTypeDefinition<_hotloop_v1_PredictRequest, _hotloop_v1_PredictRequest__Output>
      PredictResult: MessageTypeDefinition<_hotloop_v1_PredictResult, _hotloop_v1_PredictResult__Output>
      /**
       * Predictions. Served by the preprocessor.
       */
      PredictionService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_PredictionServiceClient> & { service: _hotloop_v1_PredictionServiceDefinition }
      RankedCandidate: MessageTypeDefinition<_hotloop_v1_RankedCandidate, _hotloop_v1_RankedCandidate__Output>
      Tensor: MessageTypeDefinition<_hotloop_v1_Tensor, _hotloop_v1_Tensor__Output>
      TextList: MessageTypeDefinition<_hotloop_v1_TextList, _hotloop_v1_TextList__Output>
      Value: MessageTypeDefinition<_hotloop_v1_Value, _hotloop_v1_Value__Output>
    }
  }
}

