// Original file: hotloop/v1/prediction.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { PredictBatchReply as _hotloop_v1_PredictBatchReply, PredictBatchReply__Output as _hotloop_v1_PredictBatchReply__Output } from '../../hotloop/v1/PredictBatchReply.ts';
import type { PredictBatchRequest as _hotloop_v1_PredictBatchRequest, PredictBatchRequest__Output as _hotloop_v1_PredictBatchRequest__Output } from '../../hotloop/v1/PredictBatchRequest.ts';
import type { PredictFrame as _hotloop_v1_PredictFrame, PredictFrame__Output as _hotloop_v1_PredictFrame__Output } from '../../hotloop/v1/PredictFrame.ts';
import type { PredictReply as _hotloop_v1_PredictReply, PredictReply__Output as _hotloop_v1_PredictReply__Output } from '../../hotloop/v1/PredictReply.ts';
import type { PredictReplyFrame as _hotloop_v1_PredictReplyFrame, PredictReplyFrame__Output as _hotloop_v1_PredictReplyFrame__Output } from '../../hotloop/v1/PredictReplyFrame.ts';
import type { PredictRequest as _hotloop_v1_PredictRequest, PredictRequest__Output as _hotloop_v1_PredictRequest__Output } from '../../hotloop/v1/PredictRequest.ts';

/**
 * Predictions. Served by the preprocessor.
 */
export interface PredictionServiceClient extends grpc.Client {
  Predict(argument: _hotloop_v1_PredictRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  Predict(argument: _hotloop_v1_PredictRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  Predict(argument: _hotloop_v1_PredictRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  Predict(argument: _hotloop_v1_PredictRequest, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  predict(argument: _hotloop_v1_PredictRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  predict(argument: _hotloop_v1_PredictRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  predict(argument: _hotloop_v1_PredictRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  predict(argument: _hotloop_v1_PredictRequest, callback: grpc.requestCallback<_hotloop_v1_PredictReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * Answers in the order of the requests; a failed item does not affect the others.
   */
  PredictBatch(argument: _hotloop_v1_PredictBatchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  PredictBatch(argument: _hotloop_v1_PredictBatchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  PredictBatch(argument: _hotloop_v1_PredictBatchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  PredictBatch(argument: _hotloop_v1_PredictBatchRequest, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  /**
   * Answers in the order of the requests; a failed item does not affect the others.
   */
  predictBatch(argument: _hotloop_v1_PredictBatchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  predictBatch(argument: _hotloop_v1_PredictBatchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  predictBatch(argument: _hotloop_v1_PredictBatchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  predictBatch(argument: _hotloop_v1_PredictBatchRequest, callback: grpc.requestCallback<_hotloop_v1_PredictBatchReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * Many predictions over one stream, answered in any order and matched by sequence.
   */
  PredictStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_PredictFrame, _hotloop_v1_PredictReplyFrame__Output>;
  PredictStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_PredictFrame, _hotloop_v1_PredictReplyFrame__Output>;
  /**
   * Many predictions over one stream, answered in any order and matched by sequence.
   */
  predictStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_PredictFrame, _hotloop_v1_PredictReplyFrame__Output>;
  predictStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_PredictFrame, _hotloop_v1_PredictReplyFrame__Output>;
  
}

/**
 * Predictions. Served by the preprocessor.
 */
export interface PredictionServiceHandlers extends grpc.UntypedServiceImplementation {
  Predict: grpc.handleUnaryCall<_hotloop_v1_PredictRequest__Output, _hotloop_v1_PredictReply>;
  
  /**
   * Answers in the order of the requests; a failed item does not affect the others.
   */
  PredictBatch: grpc.handleUnaryCall<_hotloop_v1_PredictBatchRequest__Output, _hotloop_v1_PredictBatchReply>;
  
  /**
   * Many predictions over one stream, answered in any order and matched by sequence.
   */
  PredictStream: grpc.handleBidiStreamingCall<_hotloop_v1_PredictFrame__Output, _hotloop_v1_PredictReplyFrame>;
  
}

export interface PredictionServiceDefinition extends grpc.ServiceDefinition {
  Predict: MethodDefinition<_hotloop_v1_PredictRequest, _hotloop_v1_PredictReply, _hotloop_v1_PredictRequest__Output, _hotloop_v1_PredictReply__Output>
  PredictBatch: MethodDefinition<_hotloop_v1_PredictBatchRequest, _hotloop_v1_PredictBatchReply, _hotloop_v1_PredictBatchRequest__Output, _hotloop_v1_PredictBatchReply__Output>
  PredictStream: MethodDefinition<_hotloop_v1_PredictFrame, _hotloop_v1_PredictReplyFrame, _hotloop_v1_PredictFrame__Output, _hotloop_v1_PredictReplyFrame__Output>
}
