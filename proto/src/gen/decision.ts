import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from './hotloop/v1/Candidate.ts';
import type { DecideFrame as _hotloop_v1_DecideFrame, DecideFrame__Output as _hotloop_v1_DecideFrame__Output } from './hotloop/v1/DecideFrame.ts';
import type { DecideItem as _hotloop_v1_DecideItem, DecideItem__Output as _hotloop_v1_DecideItem__Output } from './hotloop/v1/DecideItem.ts';
import type { DecideReply as _hotloop_v1_DecideReply, DecideReply__Output as _hotloop_v1_DecideReply__Output } from './hotloop/v1/DecideReply.ts';
import type { DecideReplyFrame as _hotloop_v1_DecideReplyFrame, DecideReplyFrame__Output as _hotloop_v1_DecideReplyFrame__Output } from './hotloop/v1/DecideReplyFrame.ts';
import type { DecideReplyItem as _hotloop_v1_DecideReplyItem, DecideReplyItem__Output as _hotloop_v1_DecideReplyItem__Output } from './hotloop/v1/DecideReplyItem.ts';
import type { DecideRequest as _hotloop_v1_DecideRequest, DecideRequest__Output as _hotloop_v1_DecideRequest__Output } from './hotloop/v1/DecideRequest.ts';
import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from './hotloop/v1/Decision.ts';
import type { DecisionServiceClient as _hotloop_v1_DecisionServiceClient, DecisionServiceDefinition as _hotloop_v1_DecisionServiceDefinition } from './hotloop/v1/DecisionService.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from './hotloop/v1/Failure.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from './hotloop/v1/FeatureStatus.ts';
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
      DecideFrame: MessageTypeDefinition<_hotloop_v1_DecideFrame, _hotloop_v1_DecideFrame__Output>
      DecideItem: MessageTypeDefinition<_hotloop_v1_DecideItem, _hotloop_v1_DecideItem__Output>
      DecideReply: MessageTypeDefinition<_hotloop_v1_DecideReply, _hotloop_v1_DecideReply__Output>
      DecideReplyFrame: MessageTypeDefinition<_hotloop_v1_DecideReplyFrame, _hotloop_v1_DecideReplyFrame__Output>
      DecideReplyItem: MessageTypeDefinition<_hotloop_v1_DecideReplyItem, _hotloop_v1_DecideReplyItem__Output>
      DecideRequest: MessageTypeDefinition<_hotloop_v1_DecideRequest, _hotloop_v1_DecideRequest__Output>
      Decision: MessageTypeDefinition<_hotloop_v1_Decision, _hotloop_v1_Decision__Output>
      /**
       * Decisions from raw outputs. Served by the postprocessor.
       */
      DecisionService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_DecisionServiceClient> & { service: _hotloop_v1_DecisionServiceDefinition }
      Failure: MessageTypeDefinition<_hotloop_v1_Failure, _hotloop_v1_Failure__Output>
      FeatureStatus: MessageTypeDefinition<_hotloop_v1_FeatureStatus, _hotloop_v1_FeatureStatus__Output>
      NumberList: MessageTypeDefinition<_hotloop_v1_NumberList, _hotloop_v1_NumberList__Output>
      RankedCandidate: MessageTypeDefinition<_hotloop_v1_RankedCandidate, _hotloop_v1_RankedCandidate__Output>
      Tensor: MessageTypeDefinition<_hotloop_v1_Tensor, _hotloop_v1_Tensor__Output>
      TextList: MessageTypeDefinition<_hotloop_v1_TextList, _hotloop_v1_TextList__Output>
      Value: MessageTypeDefinition<_hotloop_v1_Value, _hotloop_v1_Value__Output>
    }
  }
}

