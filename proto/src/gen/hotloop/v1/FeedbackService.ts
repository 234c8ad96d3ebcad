// Original file: hotloop/v1/feedback.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { RecordOutcomesReply as _hotloop_v1_RecordOutcomesReply, RecordOutcomesReply__Output as _hotloop_v1_RecordOutcomesReply__Output } from '../../hotloop/v1/RecordOutcomesReply.ts';
import type { RecordOutcomesRequest as _hotloop_v1_RecordOutcomesRequest, RecordOutcomesRequest__Output as _hotloop_v1_RecordOutcomesRequest__Output } from '../../hotloop/v1/RecordOutcomesRequest.ts';

/**
 * Outcomes of predictions. Served by the retrainer.
 */
export interface FeedbackServiceClient extends grpc.Client {
  RecordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  RecordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  RecordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  RecordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  recordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  recordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  recordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  recordOutcomes(argument: _hotloop_v1_RecordOutcomesRequest, callback: grpc.requestCallback<_hotloop_v1_RecordOutcomesReply__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Outcomes of predictions. Served by the retrainer.
 */
export interface FeedbackServiceHandlers extends grpc.UntypedServiceImplementation {
  RecordOutcomes: grpc.handleUnaryCall<_hotloop_v1_RecordOutcomesRequest__Output, _hotloop_v1_RecordOutcomesReply>;
  
}

export interface FeedbackServiceDefinition extends grpc.ServiceDefinition {
  RecordOutcomes: MethodDefinition<_hotloop_v1_RecordOutcomesRequest, _hotloop_v1_RecordOutcomesReply, _hotloop_v1_RecordOutcomesRequest__Output, _hotloop_v1_RecordOutcomesReply__Output>
}
