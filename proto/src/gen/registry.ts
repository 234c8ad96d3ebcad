import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { GetModelReply as _hotloop_v1_GetModelReply, GetModelReply__Output as _hotloop_v1_GetModelReply__Output } from './hotloop/v1/GetModelReply.ts';
import type { GetModelRequest as _hotloop_v1_GetModelRequest, GetModelRequest__Output as _hotloop_v1_GetModelRequest__Output } from './hotloop/v1/GetModelRequest.ts';
import type { ListModelsReply as _hotloop_v1_ListModelsReply, ListModelsReply__Output as _hotloop_v1_ListModelsReply__Output } from './hotloop/v1/ListModelsReply.ts';
import type { ListModelsRequest as _hotloop_v1_ListModelsRequest, ListModelsRequest__Output as _hotloop_v1_ListModelsRequest__Output } from './hotloop/v1/ListModelsRequest.ts';
import type { Model as _hotloop_v1_Model, Model__Output as _hotloop_v1_Model__Output } from './hotloop/v1/Model.ts';
import type { ModelVersion as _hotloop_v1_ModelVersion, ModelVersion__Output as _hotloop_v1_ModelVersion__Output } from './hotloop/v1/ModelVersion.ts';
import type { NodeVersion as _hotloop_v1_NodeVersion, NodeVersion__Output as _hotloop_v1_NodeVersion__Output } from './hotloop/v1/NodeVersion.ts';
import type { PromoteProgress as _hotloop_v1_PromoteProgress, PromoteProgress__Output as _hotloop_v1_PromoteProgress__Output } from './hotloop/v1/PromoteProgress.ts';
import type { PromoteRequest as _hotloop_v1_PromoteRequest, PromoteRequest__Output as _hotloop_v1_PromoteRequest__Output } from './hotloop/v1/PromoteRequest.ts';
import type { PushHeader as _hotloop_v1_PushHeader, PushHeader__Output as _hotloop_v1_PushHeader__Output } from './hotloop/v1/PushHeader.ts';
import type { PushModelReply as _hotloop_v1_PushModelReply, PushModelReply__Output as _hotloop_v1_PushModelReply__Output } from './hotloop/v1/PushModelReply.ts';
import type { PushModelRequest as _hotloop_v1_PushModelRequest, PushModelRequest__Output as _hotloop_v1_PushModelRequest__Output } from './hotloop/v1/PushModelRequest.ts';
import type { RegistryServiceClient as _hotloop_v1_RegistryServiceClient, RegistryServiceDefinition as _hotloop_v1_RegistryServiceDefinition } from './hotloop/v1/RegistryService.ts';
import type { RollbackRequest as _hotloop_v1_RollbackRequest, RollbackRequest__Output as _hotloop_v1_RollbackRequest__Output } from './hotloop/v1/RollbackRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  hotloop: {
    v1: {
      GetModelReply: MessageTypeDefinition<_hotloop_v1_GetModelReply, _hotloop_v1_GetModelReply__Output>
      GetModelRequest: MessageTypeDefinition<_hotloop_v1_GetModelRequest, _hotloop_v1_GetModelRequest__Output>
      ListModelsReply: MessageTypeDefinition<_hotloop_v1_ListModelsReply, _hotloop_v1_ListModelsReply__Output>
      ListModelsRequest: MessageTypeDefinition<_hotloop_v1_ListModelsRequest, _hotloop_v1_ListModelsRequest__Output>
      Model: MessageTypeDefinition<_hotloop_v1_Model, _hotloop_v1_Model__Output>
      ModelVersion: MessageTypeDefinition<_hotloop_v1_ModelVersion, _hotloop_v1_ModelVersion__Output>
      NodeVersion: MessageTypeDefinition<_hotloop_v1_NodeVersion, _hotloop_v1_NodeVersion__Output>
      PromoteProgress: MessageTypeDefinition<_hotloop_v1_PromoteProgress, _hotloop_v1_PromoteProgress__Output>
      PromoteRequest: MessageTypeDefinition<_hotloop_v1_PromoteRequest, _hotloop_v1_PromoteRequest__Output>
      PushHeader: MessageTypeDefinition<_hotloop_v1_PushHeader, _hotloop_v1_PushHeader__Output>
      PushModelReply: MessageTypeDefinition<_hotloop_v1_PushModelReply, _hotloop_v1_PushModelReply__Output>
      PushModelRequest: MessageTypeDefinition<_hotloop_v1_PushModelRequest, _hotloop_v1_PushModelRequest__Output>
      /**
       * Models, their versions, and which version is live. Served by the retrainer.
       */
      RegistryService: SubtypeConstructor<typeof grpc.Client, _hotloop_v1_RegistryServiceClient> & { service: _hotloop_v1_RegistryServiceDefinition }
      RollbackRequest: MessageTypeDefinition<_hotloop_v1_RollbackRequest, _hotloop_v1_RollbackRequest__Output>
    }
  }
}

