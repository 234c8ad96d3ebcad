// Original file: hotloop/v1/jobs.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetLoopReply as _hotloop_v1_GetLoopReply, GetLoopReply__Output as _hotloop_v1_GetLoopReply__Output } from '../../hotloop/v1/GetLoopReply.ts';
import type { GetLoopRequest as _hotloop_v1_GetLoopRequest, GetLoopRequest__Output as _hotloop_v1_GetLoopRequest__Output } from '../../hotloop/v1/GetLoopRequest.ts';
import type { GetRunRequest as _hotloop_v1_GetRunRequest, GetRunRequest__Output as _hotloop_v1_GetRunRequest__Output } from '../../hotloop/v1/GetRunRequest.ts';
import type { ListRunsReply as _hotloop_v1_ListRunsReply, ListRunsReply__Output as _hotloop_v1_ListRunsReply__Output } from '../../hotloop/v1/ListRunsReply.ts';
import type { ListRunsRequest as _hotloop_v1_ListRunsRequest, ListRunsRequest__Output as _hotloop_v1_ListRunsRequest__Output } from '../../hotloop/v1/ListRunsRequest.ts';
import type { RetrainReply as _hotloop_v1_RetrainReply, RetrainReply__Output as _hotloop_v1_RetrainReply__Output } from '../../hotloop/v1/RetrainReply.ts';
import type { RetrainRequest as _hotloop_v1_RetrainRequest, RetrainRequest__Output as _hotloop_v1_RetrainRequest__Output } from '../../hotloop/v1/RetrainRequest.ts';
import type { Run as _hotloop_v1_Run, Run__Output as _hotloop_v1_Run__Output } from '../../hotloop/v1/Run.ts';
import type { TraceReply as _hotloop_v1_TraceReply, TraceReply__Output as _hotloop_v1_TraceReply__Output } from '../../hotloop/v1/TraceReply.ts';
import type { TraceRequest as _hotloop_v1_TraceRequest, TraceRequest__Output as _hotloop_v1_TraceRequest__Output } from '../../hotloop/v1/TraceRequest.ts';

/**
 * Training runs, the state of the loop, and the trace of one prediction. Served by the retrainer.
 */
export interface JobServiceClient extends grpc.Client {
  GetLoop(argument: _hotloop_v1_GetLoopRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  GetLoop(argument: _hotloop_v1_GetLoopRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  GetLoop(argument: _hotloop_v1_GetLoopRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  GetLoop(argument: _hotloop_v1_GetLoopRequest, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  getLoop(argument: _hotloop_v1_GetLoopRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  getLoop(argument: _hotloop_v1_GetLoopRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  getLoop(argument: _hotloop_v1_GetLoopRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  getLoop(argument: _hotloop_v1_GetLoopRequest, callback: grpc.requestCallback<_hotloop_v1_GetLoopReply__Output>): grpc.ClientUnaryCall;
  
  GetRun(argument: _hotloop_v1_GetRunRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  GetRun(argument: _hotloop_v1_GetRunRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  GetRun(argument: _hotloop_v1_GetRunRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  GetRun(argument: _hotloop_v1_GetRunRequest, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  getRun(argument: _hotloop_v1_GetRunRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  getRun(argument: _hotloop_v1_GetRunRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  getRun(argument: _hotloop_v1_GetRunRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  getRun(argument: _hotloop_v1_GetRunRequest, callback: grpc.requestCallback<_hotloop_v1_Run__Output>): grpc.ClientUnaryCall;
  
  ListRuns(argument: _hotloop_v1_ListRunsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  ListRuns(argument: _hotloop_v1_ListRunsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  ListRuns(argument: _hotloop_v1_ListRunsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  ListRuns(argument: _hotloop_v1_ListRunsRequest, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  listRuns(argument: _hotloop_v1_ListRunsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  listRuns(argument: _hotloop_v1_ListRunsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  listRuns(argument: _hotloop_v1_ListRunsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  listRuns(argument: _hotloop_v1_ListRunsRequest, callback: grpc.requestCallback<_hotloop_v1_ListRunsReply__Output>): grpc.ClientUnaryCall;
  
  Retrain(argument: _hotloop_v1_RetrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  Retrain(argument: _hotloop_v1_RetrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  Retrain(argument: _hotloop_v1_RetrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  Retrain(argument: _hotloop_v1_RetrainRequest, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  retrain(argument: _hotloop_v1_RetrainRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  retrain(argument: _hotloop_v1_RetrainRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  retrain(argument: _hotloop_v1_RetrainRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  retrain(argument: _hotloop_v1_RetrainRequest, callback: grpc.requestCallback<_hotloop_v1_RetrainReply__Output>): grpc.ClientUnaryCall;
  
  Trace(argument: _hotloop_v1_TraceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  Trace(argument: _hotloop_v1_TraceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  Trace(argument: _hotloop_v1_TraceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  Trace(argument: _hotloop_v1_TraceRequest, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  trace(argument: _hotloop_v1_TraceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  trace(argument: _hotloop_v1_TraceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  trace(argument: _hotloop_v1_TraceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  trace(argument: _hotloop_v1_TraceRequest, callback: grpc.requestCallback<_hotloop_v1_TraceReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * Ends when the run has ended.
   */
  WatchRun(argument: _hotloop_v1_GetRunRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_Run__Output>;
  WatchRun(argument: _hotloop_v1_GetRunRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_Run__Output>;
  /**
   * Ends when the run has ended.
   */
  watchRun(argument: _hotloop_v1_GetRunRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_Run__Output>;
  watchRun(argument: _hotloop_v1_GetRunRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_hotloop_v1_Run__Output>;
  
}

/**
 * Training runs, the state of the loop, and the trace of one prediction. Served by the retrainer.
 */
export interface JobServiceHandlers extends grpc.UntypedServiceImplementation {
  GetLoop: grpc.handleUnaryCall<_hotloop_v1_GetLoopRequest__Output, _hotloop_v1_GetLoopReply>;
  
  GetRun: grpc.handleUnaryCall<_hotloop_v1_GetRunRequest__Output, _hotloop_v1_Run>;
  
  ListRuns: grpc.handleUnaryCall<_hotloop_v1_ListRunsRequest__Output, _hotloop_v1_ListRunsReply>;
  
  Retrain: grpc.handleUnaryCall<_hotloop_v1_RetrainRequest__Output, _hotloop_v1_RetrainReply>;
  
  Trace: grpc.handleUnaryCall<_hotloop_v1_TraceRequest__Output, _hotloop_v1_TraceReply>;
  
  /**
   * Ends when the run has ended.
   */
  WatchRun: grpc.handleServerStreamingCall<_hotloop_v1_GetRunRequest__Output, _hotloop_v1_Run>;
  
}

export interface JobServiceDefinition extends grpc.ServiceDefinition {
  GetLoop: MethodDefinition<_hotloop_v1_GetLoopRequest, _hotloop_v1_GetLoopReply, _hotloop_v1_GetLoopRequest__Output, _hotloop_v1_GetLoopReply__Output>
  GetRun: MethodDefinition<_hotloop_v1_GetRunRequest, _hotloop_v1_Run, _hotloop_v1_GetRunRequest__Output, _hotloop_v1_Run__Output>
  ListRuns: MethodDefinition<_hotloop_v1_ListRunsRequest, _hotloop_v1_ListRunsReply, _hotloop_v1_ListRunsRequest__Output, _hotloop_v1_ListRunsReply__Output>
  Retrain: MethodDefinition<_hotloop_v1_RetrainRequest, _hotloop_v1_RetrainReply, _hotloop_v1_RetrainRequest__Output, _hotloop_v1_RetrainReply__Output>
  Trace: MethodDefinition<_hotloop_v1_TraceRequest, _hotloop_v1_TraceReply, _hotloop_v1_TraceRequest__Output, _hotloop_v1_TraceReply__Output>
  WatchRun: MethodDefinition<_hotloop_v1_GetRunRequest, _hotloop_v1_Run, _hotloop_v1_GetRunRequest__Output, _hotloop_v1_Run__Output>
}
