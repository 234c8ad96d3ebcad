// Original file: hotloop/v1/inference.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { InferFrame as _hotloop_v1_InferFrame, InferFrame__Output as _hotloop_v1_InferFrame__Output } from '../../hotloop/v1/InferFrame.ts';
import type { InferReplyFrame as _hotloop_v1_InferReplyFrame, InferReplyFrame__Output as _hotloop_v1_InferReplyFrame__Output } from '../../hotloop/v1/InferReplyFrame.ts';

/**
 * How the preprocessor calls compute: the content of the Open Inference Protocol plus the fields of the prediction log,
 * with many items per frame, because a message on a stream costs more than a small model.
 */
export interface InferenceServiceClient extends grpc.Client {
  InferStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_InferFrame, _hotloop_v1_InferReplyFrame__Output>;
  InferStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_InferFrame, _hotloop_v1_InferReplyFrame__Output>;
  inferStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_InferFrame, _hotloop_v1_InferReplyFrame__Output>;
  inferStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_InferFrame, _hotloop_v1_InferReplyFrame__Output>;
  
}

/**
 * How the preprocessor calls compute: the content of the Open Inference Protocol plus the fields of the prediction log,
 * with many items per frame, because a message on a stream costs more than a small model.
 */
export interface InferenceServiceHandlers extends grpc.UntypedServiceImplementation {
  InferStream: grpc.handleBidiStreamingCall<_hotloop_v1_InferFrame__Output, _hotloop_v1_InferReplyFrame>;
  
}

export interface InferenceServiceDefinition extends grpc.ServiceDefinition {
  InferStream: MethodDefinition<_hotloop_v1_InferFrame, _hotloop_v1_InferReplyFrame, _hotloop_v1_InferFrame__Output, _hotloop_v1_InferReplyFrame__Output>
}
