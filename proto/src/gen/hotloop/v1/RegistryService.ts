// Original file: hotloop/v1/registry.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetModelReply as _hotloop_v1_GetModelReply, GetModelReply__Output as _hotloop_v1_GetModelReply__Output } from '../../hotloop/v1/GetModelReply.ts';
import type { GetModelRequest as _hotloop_v1_GetModelRequest, GetModelRequest__Output as _hotloop_v1_GetModelRequest__Output } from '../../hotloop/v1/GetModelRequest.ts';
import type { ListModelsReply as _hotloop_v1_ListModelsReply, ListModelsReply__Output as _hotloop_v1_ListModelsReply__Output } from '../../hotloop/v1/ListModelsReply.ts';
import type { ListModelsRequest as _hotloop_v1_ListModelsRequest, ListModelsRequest__Output as _hotloop_v1_ListModelsRequest__Output } from '../../hotloop/v1/ListModelsRequest.ts';
import type { PromoteProgress as _hotloop_v1_PromoteProgress, PromoteProgress__Output as _hotloop_v1_PromoteProgress__Output } from '../../hotloop/v1/PromoteProgress.ts';
import type { PromoteRequest as _hotloop_v1_PromoteRequest, PromoteRequest__Output as _hotloop_v1_PromoteRequest__Output } from '../../hotloop/v1/PromoteRequest.ts';
import type { PushModelReply as _hotloop_v1_PushModelReply, PushModelReply__Output as _hotloop_v1_PushModelReply__Output } from '../../hotloop/v1/PushModelReply.ts';
import type { PushModelRequest as _hotloop_v1_PushModelRequest, PushModelRequest__Output as _hotloop_v1_PushModelRequest__Output } from '../../hotloop/v1/PushModelRequest.ts';
import type { RollbackRequest as _hotloop_v1_RollbackRequest, RollbackRequest__Output as _hotloop_v1_RollbackRequest__Output } from '../../hotloop/v1/RollbackRequest.ts';

/**
 * Models, their versions, and which version is live. Served by the retrainer.
 */
export interface RegistryServiceClient extends grpc.Client {
  GetModel(argument: _hotloop_v1_GetModelRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  GetModel(argument: _hotloop_v1_GetModelRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  GetModel(argument: _hotloop_v1_GetModelRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  GetModel(argument: _hotloop_v1_GetModelRequest, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  getModel(argument: _hotloop_v1_GetModelRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  getModel(argument: _hotloop_v1_GetModelRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  getModel(argument: _hotloop_v1_GetModelRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  getModel(argument: _hotloop_v1_GetModelRequest, callback: grpc.requestCallback<_hotloop_v1_GetModelReply__Output>): grpc.ClientUnaryCall;
  
  ListModels(argument: _hotloop_v1_ListModelsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _hotloop_v1_ListModelsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _hotloop_v1_ListModelsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  ListModels(argument: _hotloop_v1_ListModelsRequest, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  listModels(argument: _hotloop_v1_ListModelsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  listModels(argument: _hotloop_v1_ListModelsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  listModels(argument: _hotloop_v1_ListModelsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  listModels(argument: _hotloop_v1_ListModelsRequest, callback: grpc.requestCallback<_hotloop_v1_ListModelsReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * Loads and warms up the version on every compute node, then switches traffic. Streams each step.
   */
  Promote(argument: _hotloop_v1_PromoteRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  Promote(argument: _hotloop_v1_PromoteRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  /**
   * Loads and warms up the version on every compute node, then switches traffic. Streams each step.
   */
  promote(argument: _hotloop_v1_PromoteRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  promote(argument: _hotloop_v1_PromoteRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  
  /**
   * First message: header. Then chunks of model.onnx. Registers the next version, which does not serve before it is promoted.
   */
  PushModel(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  PushModel(metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  PushModel(options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  PushModel(callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  /**
   * First message: header. Then chunks of model.onnx. Registers the next version, which does not serve before it is promoted.
   */
  pushModel(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  pushModel(metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  pushModel(options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  pushModel(callback: grpc.requestCallback<_hotloop_v1_PushModelReply__Output>): grpc.ClientWritableStream<_hotloop_v1_PushModelRequest>;
  
  /**
   * Switches back to the previous version, which is still loaded.
   */
  Rollback(argument: _hotloop_v1_RollbackRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  Rollback(argument: _hotloop_v1_RollbackRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  /**
   * Switches back to the previous version, which is still loaded.
   */
  rollback(argument: _hotloop_v1_RollbackRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  rollback(argument: _hotloop_v1_RollbackRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_PromoteProgress__Output>;
  
}

/**
 * Models, their versions, and which version is live. Served by the retrainer.
 */
export interface RegistryServiceHandlers extends grpc.UntypedServiceImplementation {
  GetModel: grpc.handleUnaryCall<_hotloop_v1_GetModelRequest__Output, _hotloop_v1_GetModelReply>;
  
  ListModels: grpc.handleUnaryCall<_hotloop_v1_ListModelsRequest__Output, _hotloop_v1_ListModelsReply>;
  
  /**
   * Loads and warms up the version on every compute node, then switches traffic. Streams each step.
   */
  Promote: grpc.handleServerStreamingCall<_hotloop_v1_PromoteRequest__Output, _hotloop_v1_PromoteProgress>;
  
  /**
   * First message: header. Then chunks of model.onnx. Registers the next version, which does not serve before it is promoted.
   */
  PushModel: grpc.handleClientStreamingCall<_hotloop_v1_PushModelRequest__Output, _hotloop_v1_PushModelReply>;
  
  /**
   * Switches back to the previous version, which is still loaded.
   */
  Rollback: grpc.handleServerStreamingCall<_hotloop_v1_RollbackRequest__Output, _hotloop_v1_PromoteProgress>;
  
}

export interface RegistryServiceDefinition extends grpc.ServiceDefinition {
  GetModel: MethodDefinition<_hotloop_v1_GetModelRequest, _hotloop_v1_GetModelReply, _hotloop_v1_GetModelRequest__Output, _hotloop_v1_GetModelReply__Output>
  ListModels: MethodDefinition<_hotloop_v1_ListModelsRequest, _hotloop_v1_ListModelsReply, _hotloop_v1_ListModelsRequest__Output, _hotloop_v1_ListModelsReply__Output>
  Promote: MethodDefinition<_hotloop_v1_PromoteRequest, _hotloop_v1_PromoteProgress, _hotloop_v1_PromoteRequest__Output, _hotloop_v1_PromoteProgress__Output>
  PushModel: MethodDefinition<_hotloop_v1_PushModelRequest, _hotloop_v1_PushModelReply, _hotloop_v1_PushModelRequest__Output, _hotloop_v1_PushModelReply__Output>
  Rollback: MethodDefinition<_hotloop_v1_RollbackRequest, _hotloop_v1_PromoteProgress, _hotloop_v1_RollbackRequest__Output, _hotloop_v1_PromoteProgress__Output>
}
