import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from './hotloop/v1/Candidate.ts';
import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from './hotloop/v1/Decision.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from './hotloop/v1/Failure.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from './hotloop/v1/FeatureStatus.ts';
import type { FeedbackServiceClient as _hotloop_v1_FeedbackServiceClient, FeedbackServiceDefinition as _hotloop_v1_FeedbackServiceDefinition } from './hotloop/v1/FeedbackService.ts';
import type { NumberList as _hotloop_v1_NumberList, NumberList__Output as _hotloop_v1_NumberList__Output } from './hotloop/v1/NumberList.ts';
import type { Outcome as _hotloop_v1_Outcome, Outcome__Output as _hotloop_v1_Outcome__Output } from './hotloop/v1/Outcome.ts';
import type { OutcomeResult as _hotloop_v1_OutcomeResult, OutcomeResult__Output as _hotloop_v1_OutcomeResult__Output } from './hotloop/v1/OutcomeResult.ts';
import type { RankedCandidate as _hotloop_v1_RankedCandidate, RankedCandidate__Output as _hotloop_v1_RankedCandidate__Output } from './hotloop/v1/RankedCandidate.ts';
import type { RecordOutcomesReply as _hotloop_v1_RecordOutcomesReply, RecordOutcomesReply__Output as _hotloop_v1_RecordOutcomesReply__Output } from './hotloop/v1/RecordOutcomesReply.ts';
import type { RecordOutcomesRequest as _hotloop_v1_RecordOutcomesRequest, RecordOutcomesRequest__Output as _hotloop_v1_RecordOutcomesRequest__Output } from './hotloop/v1/RecordOutcomesRequest.ts';
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
      /**
       * Outcomes of predictions. Served by the retrainer.
       */
      FeedbackService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_FeedbackServiceClient> & { service: _hotloop_v1_FeedbackServiceDefinition }
      NumberList: MessageTypeDefinition<_hotloop_v1_NumberList, _hotloop_v1_NumberList__Output>
      Outcome: MessageTypeDefinition<_hotloop_v1_Outcome, _hotloop_v1_Outcome__Output>
      OutcomeResult: MessageTypeDefinition<_hotloop_v1_OutcomeResult, _hotloop_v1_OutcomeResult__Output>
      RankedCandidate: MessageTypeDefinition<_hotloop_v1_RankedCandidate, _hotloop_v1_RankedCandidate__Output>
      RecordOutcomesReply: MessageTypeDefinition<_hotloop_v1_RecordOutcomesReply, _hotloop_v1_RecordOutcomesReply__Output>
      RecordOutcomesRequest: MessageTypeDefinition<_hotloop_v1_RecordOutcomesRequest, _hotloop_v1_RecordOutcomesRequest__Output>
      Tensor: MessageTypeDefinition<_hotloop_v1_Tensor, _hotloop_v1_Tensor__Output>
      TextList: MessageTypeDefinition<_hotloop_v1_TextList, _hotloop_v1_TextList__Output>
      Value: MessageTypeDefinition<_hotloop_v1_Value, _hotloop_v1_Value__Output>
    }
  }
}

