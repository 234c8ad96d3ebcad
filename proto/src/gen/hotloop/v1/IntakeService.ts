// Original file: hotloop/v1/intake.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DeclareTableReply as _hotloop_v1_DeclareTableReply, DeclareTableReply__Output as _hotloop_v1_DeclareTableReply__Output } from '../../hotloop/v1/DeclareTableReply.ts';
import type { DeclareTableRequest as _hotloop_v1_DeclareTableRequest, DeclareTableRequest__Output as _hotloop_v1_DeclareTableRequest__Output } from '../../hotloop/v1/DeclareTableRequest.ts';
import type { IngestEventsReply as _hotloop_v1_IngestEventsReply, IngestEventsReply__Output as _hotloop_v1_IngestEventsReply__Output } from '../../hotloop/v1/IngestEventsReply.ts';
import type { IngestEventsRequest as _hotloop_v1_IngestEventsRequest, IngestEventsRequest__Output as _hotloop_v1_IngestEventsRequest__Output } from '../../hotloop/v1/IngestEventsRequest.ts';
import type { UploadTableReply as _hotloop_v1_UploadTableReply, UploadTableReply__Output as _hotloop_v1_UploadTableReply__Output } from '../../hotloop/v1/UploadTableReply.ts';
import type { UploadTableRequest as _hotloop_v1_UploadTableRequest, UploadTableRequest__Output as _hotloop_v1_UploadTableRequest__Output } from '../../hotloop/v1/UploadTableRequest.ts';

/**
 * The sources of features: events of entities, and reference tables. Served by the preprocessor.
 */
export interface IntakeServiceClient extends grpc.Client {
  /**
   * Declares a reference table, or changes its schema for later uploads.
   */
  DeclareTable(argument: _hotloop_v1_DeclareTableRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  DeclareTable(argument: _hotloop_v1_DeclareTableRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  DeclareTable(argument: _hotloop_v1_DeclareTableRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  DeclareTable(argument: _hotloop_v1_DeclareTableRequest, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  /**
   * Declares a reference table, or changes its schema for later uploads.
   */
  declareTable(argument: _hotloop_v1_DeclareTableRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  declareTable(argument: _hotloop_v1_DeclareTableRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  declareTable(argument: _hotloop_v1_DeclareTableRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  declareTable(argument: _hotloop_v1_DeclareTableRequest, callback: grpc.requestCallback<_hotloop_v1_DeclareTableReply__Output>): grpc.ClientUnaryCall;
  
  /**
   * Accepts events without Kafka. Each message is answered once its events are in the history and in the spool of the archive. Send the
   * next message without waiting. After a failure send the same one again: existing events are unchanged.
   */
  IngestEvents(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_IngestEventsRequest, _hotloop_v1_IngestEventsReply__Output>;
  IngestEvents(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_IngestEventsRequest, _hotloop_v1_IngestEventsReply__Output>;
  /**
   * Accepts events without Kafka. Each message is answered once its events are in the history and in the spool of the archive. Send the
   * next message without waiting. After a failure send the same one again: existing events are unchanged.
   */
  ingestEvents(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_IngestEventsRequest, _hotloop_v1_IngestEventsReply__Output>;
  ingestEvents(options?: grpc.CallOptions): grpc.ClientDuplexStream<_hotloop_v1_IngestEventsRequest, _hotloop_v1_IngestEventsReply__Output>;
  
  /**
   * Validates a file row by row and makes it the table's next version. First message: the header; then the bytes.
   */
  UploadTable(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  UploadTable(metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  UploadTable(options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  UploadTable(callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  /**
   * Validates a file row by row and makes it the table's next version. First message: the header; then the bytes.
   */
  uploadTable(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  uploadTable(metadata: grpc.Metadata, callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  uploadTable(options: grpc.CallOptions, callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  uploadTable(callback: grpc.requestCallback<_hotloop_v1_UploadTableReply__Output>): grpc.ClientWritableStream<_hotloop_v1_UploadTableRequest>;
  
}

/**
 * The sources of features: events of entities, and reference tables. Served by the preprocessor.
 */
export interface IntakeServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Declares a reference table, or changes its schema for later uploads.
   */
  DeclareTable: grpc.handleUnaryCall<_hotloop_v1_DeclareTableRequest__Output, _hotloop_v1_DeclareTableReply>;
  
  /**
   * Accepts events without Kafka. Each message is answered once its events are in the history and in the spool of the archive. Send the
   * next message without waiting. After a failure send the same one again: existing events are unchanged.
   */
  IngestEvents: grpc.handleBidiStreamingCall<_hotloop_v1_IngestEventsRequest__Output, _hotloop_v1_IngestEventsReply>;
  
  /**
   * Validates a file row by row and makes it the table's next version. First message: the header; then the bytes.
   */
  UploadTable: grpc.handleClientStreamingCall<_hotloop_v1_UploadTableRequest__Output, _hotloop_v1_UploadTableReply>;
  
}

export interface IntakeServiceDefinition extends grpc.ServiceDefinition {
  DeclareTable: MethodDefinition<_hotloop_v1_DeclareTableRequest, _hotloop_v1_DeclareTableReply, _hotloop_v1_DeclareTableRequest__Output, _hotloop_v1_DeclareTableReply__Output>
  IngestEvents: MethodDefinition<_hotloop_v1_IngestEventsRequest, _hotloop_v1_IngestEventsReply, _hotloop_v1_IngestEventsRequest__Output, _hotloop_v1_IngestEventsReply__Output>
  UploadTable: MethodDefinition<_hotloop_v1_UploadTableRequest, _hotloop_v1_UploadTableReply, _hotloop_v1_UploadTableRequest__Output, _hotloop_v1_UploadTableReply__Output>
}
