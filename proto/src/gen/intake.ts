import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Candidate as _hotloop_v1_Candidate, Candidate__Output as _hotloop_v1_Candidate__Output } from './hotloop/v1/Candidate.ts';
import type { Decision as _hotloop_v1_Decision, Decision__Output as _hotloop_v1_Decision__Output } from './hotloop/v1/Decision.ts';
import type { DeclareTableReply as _hotloop_v1_DeclareTableReply, DeclareTableReply__Output as _hotloop_v1_DeclareTableReply__Output } from './hotloop/v1/DeclareTableReply.ts';
import type { DeclareTableRequest as _hotloop_v1_DeclareTableRequest, DeclareTableRequest__Output as _hotloop_v1_DeclareTableRequest__Output } from './hotloop/v1/DeclareTableRequest.ts';
import type { Event as _hotloop_v1_Event, Event__Output as _hotloop_v1_Event__Output } from './hotloop/v1/Event.ts';
import type { Failure as _hotloop_v1_Failure, Failure__Output as _hotloop_v1_Failure__Output } from './hotloop/v1/Failure.ts';
import type { FeatureStatus as _hotloop_v1_FeatureStatus, FeatureStatus__Output as _hotloop_v1_FeatureStatus__Output } from './hotloop/v1/FeatureStatus.ts';
import type { IngestEventsReply as _hotloop_v1_IngestEventsReply, IngestEventsReply__Output as _hotloop_v1_IngestEventsReply__Output } from './hotloop/v1/IngestEventsReply.ts';
import type { IngestEventsRequest as _hotloop_v1_IngestEventsRequest, IngestEventsRequest__Output as _hotloop_v1_IngestEventsRequest__Output } from './hotloop/v1/IngestEventsRequest.ts';
import type { IntakeServiceClient as _hotloop_v1_IntakeServiceClient, IntakeServiceDefinition as _hotloop_v1_IntakeServiceDefinition } from './hotloop/v1/IntakeService.ts';
import type { NumberList as _hotloop_v1_NumberList, NumberList__Output as _hotloop_v1_NumberList__Output } from './hotloop/v1/NumberList.ts';
import type { RankedCandidate as _hotloop_v1_RankedCandidate, RankedCandidate__Output as _hotloop_v1_RankedCandidate__Output } from './hotloop/v1/RankedCandidate.ts';
import type { RefusedEvent as _hotloop_v1_RefusedEvent, RefusedEvent__Output as _hotloop_v1_RefusedEvent__Output } from './hotloop/v1/RefusedEvent.ts';
import type { RefusedRow as _hotloop_v1_RefusedRow, RefusedRow__Output as _hotloop_v1_RefusedRow__Output } from './hotloop/v1/RefusedRow.ts';
import type { Tensor as _hotloop_v1_Tensor, Tensor__Output as _hotloop_v1_Tensor__Output } from './hotloop/v1/Tensor.ts';
import type { TextList as _hotloop_v1_TextList, TextList__Output as _hotloop_v1_TextList__Output } from './hotloop/v1/TextList.ts';
import type { UploadTableHeader as _hotloop_v1_UploadTableHeader, UploadTableHeader__Output as _hotloop_v1_UploadTableHeader__Output } from './hotloop/v1/UploadTableHeader.ts';
import type { UploadTableReply as _hotloop_v1_UploadTableReply, UploadTableReply__Output as _hotloop_v1_UploadTableReply__Output } from './hotloop/v1/UploadTableReply.ts';
import type { UploadTableRequest as _hotloop_v1_UploadTableRequest, UploadTableRequest__Output as _hotloop_v1_UploadTableRequest__Output } from './hotloop/v1/UploadTableRequest.ts';
import type { Value as _hotloop_v1_Value, Value__Output as _hotloop_v1_Value__Output } from './hotloop/v1/Value.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  hotloop: {
    v1: {
      Candidate: MessageTypeDefinition<_hotloop_v1_Candidate, _hotloop_v1_Candidate__Output>
      Decision: MessageTypeDefinition<_hotloop_v1_Decision, _hotloop_v1_Decision__Output>
      DeclareTableReply: MessageTypeDefinition<_hotloop_v1_DeclareTableReply, _hotloop_v1_DeclareTableReply__Output>
      DeclareTableRequest: MessageTypeDefinition<_hotloop_v1_DeclareTableRequest, _hotloop_v1_DeclareTableRequest__Output>
      Event: MessageTypeDefinition<_hotloop_v1_Event, _hotloop_v1_Event__Output>
      Failure: MessageTypeDefinition<_hotloop_v1_Failure, _hotloop_v1_Failure__Output>
      FeatureStatus: MessageTypeDefinition<_hotloop_v1_FeatureStatus, _hotloop_v1_FeatureStatus__Output>
      IngestEventsReply: MessageTypeDefinition<_hotloop_v1_IngestEventsReply, _hotloop_v1_IngestEventsReply__Output>
      IngestEventsRequest: MessageTypeDefinition<_hotloop_v1_IngestEventsRequest, _hotloop_v1_IngestEventsRequest__Output>
      /**
       * The sources of features: events of entities, and reference tables. Served by the preprocessor.
       */
      IntakeService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_IntakeServiceClient> & { service: _hotloop_v1_IntakeServiceDefinition }
      NumberList: MessageTypeDefinition<_hotloop_v1_NumberList, _hotloop_v1_NumberList__Output>
      RankedCandidate: MessageTypeDefinition<_hotloop_v1_RankedCandidate, _hotloop_v1_RankedCandidate__Output>
      RefusedEvent: MessageTypeDefinition<_hotloop_v1_RefusedEvent, _hotloop_v1_RefusedEvent__Output>
      RefusedRow: MessageTypeDefinition<_hotloop_v1_RefusedRow, _hotloop_v1_RefusedRow__Output>
      Tensor: MessageTypeDefinition<_hotloop_v1_Tensor, _hotloop_v1_Tensor__Output>
      TextList: MessageTypeDefinition<_hotloop_v1_TextList, _hotloop_v1_TextList__Output>
      UploadTableHeader: MessageTypeDefinition<_hotloop_v1_UploadTableHeader, _hotloop_v1_UploadTableHeader__Output>
      UploadTableReply: MessageTypeDefinition<_hotloop_v1_UploadTableReply, _hotloop_v1_UploadTableReply__Output>
      UploadTableRequest: MessageTypeDefinition<_hotloop_v1_UploadTableRequest, _hotloop_v1_UploadTableRequest__Output>
      Value: MessageTypeDefinition<_hotloop_v1_Value, _hotloop_v1_Value__Output>
    }
  }
}

