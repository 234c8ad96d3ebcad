import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from './hotloop/v1/Candidate.ts';
import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from './hotloop/v1/Decision.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from './hotloop/v1/Failure.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from './hotloop/v1/FeatureStatus.ts';
import type { GetLoopReply as _hotloop_v1_GetLoopReply, GetLoopReply__Output as _hotloop_v1_GetLoopReply__Output } from './hotloop/v1/GetLoopReply.ts';
import type { GetLoopRequest as _hotloop_v1_GetLoopRequest, GetLoopRequest__Output as _hotloop_v1_GetLoopRequest__Output } from './hotloop/v1/GetLoopRequest.ts';
import type { GetRunRequest as _hotloop_v1_GetRunRequest, GetRunRequest__Output as _hotloop_v1_GetRunRequest__Output } from './hotloop/v1/GetRunRequest.ts';
import type { JobServiceClient as _hotloop_v1_JobServiceClient, JobServiceDefinition as _hotloop_v1_JobServiceDefinition } from './hotloop/v1/JobService.ts';
import type { ListRunsReply as _hotloop_v1_ListRunsReply, ListRunsReply__Output as _hotloop_v1_ListRunsReply__Output } from './hotloop/v1/ListRunsReply.ts';
import type { ListRunsRequest as _hotloop_v1_ListRunsRequest, ListRunsRequest__Output as _hotloop_v1_ListRunsRequest__Output } from './hotloop/v1/ListRunsRequest.ts';
import type { NumberList as _hotloop_v1_NumberList, NumberList__Output as _hotloop_v1_NumberList__Output } from './hotloop/v1/NumberList.ts';
import type { RankedCandidate as _hotloop_v1_RankedCandidate, RankedCandidate__Output as _hotloop_v1_RankedCandidate__Output } from './hotloop/v1/RankedCandidate.ts';
import type { RetrainReply as _hotloop_v1_RetrainReply, RetrainReply__Output as _hotloop_v1_RetrainReply__Output } from './hotloop/v1/RetrainReply.ts';
import type { RetrainRequest as _hotloop_v1_RetrainRequest, RetrainRequest__Output as _hotloop_v1_RetrainRequest__Output } from './hotloop/v1/RetrainRequest.ts';
import type { Run as _hotloop_v1_Run, Run__Output as _hotloop_v1_Run__Output } from './hotloop/v1/Run.ts';
import type { Tensor as _hotloop_v1_Tensor, Tensor__Output as _hotloop_v1_Tensor__Output } from './hotloop/v1/Tensor.ts';
import type { TextList as _hotloop_v1_TextList, TextList__Output as _hotloop_v1_TextList__Output } from './hotloop/v1/TextList.ts';
import type { TraceReply as _hotloop_v1_TraceReply, TraceReply__Output as _hotloop_v1_TraceReply__Output } from './hotloop/v1/TraceReply.ts';
import type { TraceRequest as _hotloop_v1_TraceRequest, TraceRequest__Output as _hotloop_v1_TraceRequest__Output } from './hotloop/v1/TraceRequest.ts';
import type { TraceStep as _hotloop_v1_TraceStep, TraceStep__Output as _hotloop_v1_TraceStep__Output } from './hotloop/v1/TraceStep.ts';
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
      GetLoopReply: MessageTypeDefinition<_hotloop_v1_GetLoopReply, _hotloop_v1_GetLoopReply__Output>
      GetLoopRequest: MessageTypeDefinition<_hotloop_v1_GetLoopRequest, _hotloop_v1_GetLoopRequest__Output>
      GetRunRequest: MessageTypeDefinition<_hotloop_v1_GetRunRequest, _hotloop_v1_GetRunRequest__Output>
      /**
       * Training runs, the state of the loop, and the trace of one prediction. Served by the retrainer.
       */
      JobService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_JobServiceClient> & { service: _hotloop_v1_JobServiceDefinition }
      ListRunsReply: MessageTypeDefinition<_hotloop_v1_ListRunsReply, _hotloop_v1_ListRunsReply__Output>
      ListRunsRequest: MessageTypeDefinition<_hotloop_v1_ListRunsRequest, _hotloop_v1_ListRunsRequest__Output>
      NumberList: MessageTypeDefinition<_hotloop_v1_NumberList, _hotloop_v1_NumberList__Output>
      RankedCandidate: MessageTypeDefinition<_hotloop_v1_RankedCandidate, _hotloop_v1_RankedCandidate__Output>
      RetrainReply: MessageTypeDefinition<_hotloop_v1_RetrainReply, _hotloop_v1_RetrainReply__Output>
      RetrainRequest: MessageTypeDefinition<_hotloop_v1_RetrainRequest, _hotloop_v1_RetrainRequest__Output>
      Run: MessageTypeDefinition<_hotloop_v1_Run, _hotloop_v1_Run__Output>
      Tensor: MessageTypeDefinition<_hotloop_v1_Tensor, _hotloop_v1_Tensor__Output>
      TextList: MessageTypeDefinition<_hotloop_v1_TextList, _hotloop_v1_TextList__Output>
      TraceReply: MessageTypeDefinition<_hotloop_v1_TraceReply, _hotloop_v1_TraceReply__Output>
      TraceRequest: MessageTypeDefinition<_hotloop_v1_TraceRequest, _hotloop_v1_TraceRequest__Output>
      TraceStep: MessageTypeDefinition<_hotloop_v1_TraceStep, _hotloop_v1_TraceStep__Output>
      Value: MessageTypeDefinition<_hotloop_v1_Value, _hotloop_v1_Value__Output>
    }
  }
}

