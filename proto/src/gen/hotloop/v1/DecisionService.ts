// Original file: hotloop/v1/decision.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DecideFrame as _hotloop_v1_DecideFrame, DecideFrame__Output as _hotloop_v1_DecideFrame__Output } from '../../hotloop/v1/DecideFrame.ts';
import type { DecideReply as _hotloop_v1_DecideReply, DecideReply__Output as _hotloop_v1_DecideReply__Output } from '../../hotloop/v1/DecideReply.ts';
import type { DecideReplyFrame as _hotloop_v1_DecideReplyFrame, DecideReplyFrame__Output as _hotloop_v1_DecideReplyFrame__Output } from '../../hotloop/v1/DecideReplyFrame.ts';
import type { DecideRequest as _hotloop_v1_DecideRequest, DecideRequest__Output as _hotloop_v1_DecideRequest__Output } from '../../hotloop/v1/DecideRequest.ts';

/**
 * Decisions from raw outputs. Served by the postprocessor.
 */
export interface DecisionServiceClient extends grpc.Client {
  Decide(argument: _hotloop_v1_DecideRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  Decide(argument: _hotloop_v1_DecideRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  Decide(argument: _hotloop_v1_DecideRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  Decide(argument: _hotloop_v1_DecideRequest, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  decide(argument: _hotloop_v1_DecideRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  decide(argument: _hotloop_v1_DecideRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  decide(argument: _hotloop_v1_DecideRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  decide(argument: _hotloop_v1_DecideRequest, callback: grpc.requestCallback<_hotloop_v1_DecideReply__Output>): grpc.ClientUnaryCall;
  
  DecideStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_DecideFrame, _hotloop_v1_DecideReplyFrame__Output>;
  DecideStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_DecideFrame, _hotloop_v1_DecideReplyFrame__Output>;
  decideStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_DecideFrame, _hotloop_v1_DecideReplyFrame__Output>;
  decideStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_DecideFrame, _hotloop_v1_DecideReplyFrame__Output>;
  
}

/**
 * Decisions from raw outputs. Served by the postprocessor.
 */
export interface DecisionServiceHandlers extends grpc.UntypedServiceImplementation {
  Decide: grpc.handleUnaryCall<_hotloop_v1_DecideRequest__Output, _hotloop_v1_DecideReply>;
  
  DecideStream: grpc.handleBidiStreamingCall<_hotloop_v1_DecideFrame__Output, _hotloop_v1_DecideReplyFrame>;
  
}

export interface DecisionServiceDefinition extends grpc.ServiceDefinition {
  Decide: MethodDefinition<_hotloop_v1_DecideRequest, _hotloop_v1_DecideReply, _hotloop_v1_DecideRequest__Output, _hotloop_v1_DecideReply__Output>
  DecideStream: MethodDefinition<_hotloop_v1_DecideFrame, _hotloop_v1_DecideReplyFrame, _hotloop_v1_DecideFrame__Output, _hotloop_v1_DecideReplyFrame__Output>
}
