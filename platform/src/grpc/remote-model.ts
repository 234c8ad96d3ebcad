import { credentials, type Metadata, type ServiceError } from '@grpc/grpc-js';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import { errorCodeOf, HotloopError } from '@hotloop/proto/errors.ts';
import type { GRPCInferenceServiceClient } from '@hotloop/proto/gen/inference/GRPCInferenceService.ts';
import type { ModelInferRequest } from '@hotloop/proto/gen/inference/ModelInferRequest.ts';
import type { ModelInferResponse__Output } from '@hotloop/proto/gen/inference/ModelInferResponse.ts';
import type { ModelMetadataResponse__Output } from '@hotloop/proto/gen/inference/ModelMetadataResponse.ts';
import type { ModelReadyResponse__Output } from '@hotloop/proto/gen/inference/ModelReadyResponse.ts';
import { openChannel, withDeadline } from './client.ts';
import { openServiceClient } from './service-client.ts';

/** Where a model is served: `grpc://host:port`, or `grpcs://` for TLS with the system's certificates. */
export interface RemoteModelAddress {
  readonly url: string;
  readonly model: string;
  /** Empty: the server chooses the version. */
  readonly version: string;
}

/**
 * A model on another server of the Open Inference Protocol. Every call rejects with the server's own code and
 * message.
 */
export interface RemoteModel extends Disposable {
  metadata(timeoutMs: number): Promise<ModelMetadataResponse__Output>;
  /** False when the server reports the model as not ready; rejects UNAVAILABLE when it cannot be reached. */
  isReady(timeoutMs: number): Promise<boolean>;
  infer(
    request: Omit<ModelInferRequest, 'modelName' | 'modelVersion'>,
    timeoutMs: number,
  ): Promise<ModelInferResponse__Output>;
}

/** Servers end connections whose clients send keepalives more often. */
const KEEPALIVE_MS = 60_000;

/** The connection opens with the first call. */
export function openRemoteModel({ url, model, version }: RemoteModelAddress): RemoteModel {
  const [scheme, address = ''] = url.split('://');
  const channel = openChannel(address, { keepaliveMs: KEEPALIVE_MS, ownConnection: true });
  const secure = scheme === 'grpcs' ? { ...channel, credentials: credentials.createSsl() } : channel;
  const client = openServiceClient<GRPCInferenceServiceClient>(
    secure,
    loadOipDefinitions(),
    'inference.GRPCInferenceService',
  );
  const call = <Reply>(
    method: 'ModelMetadata' | 'ModelReady' | 'ModelInfer',
    request: object,
    timeoutMs: number,
  ): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const run = client[method].bind(client) as (
        request: object,
        metadata: Metadata,
        options: object,
        done: (error: ServiceError | null, reply?: unknown) => void,
      ) => void;
      run(request, channel.metadata(), withDeadline(timeoutMs), (error, reply) => {
        if (error) reject(remoteError(model, error));
        else resolve(reply as Reply);
      });
    });
  const named = { name: model, version };
  return {
    metadata: (timeoutMs) => call('ModelMetadata', named, timeoutMs),
    isReady: async (timeoutMs) =>
      (await call<ModelReadyResponse__Output>('ModelReady', named, timeoutMs)).ready,
    infer: (request, timeoutMs) =>
      call('ModelInfer', { ...request, modelName: model, modelVersion: version }, timeoutMs),
    [Symbol.dispose]: () => client.close(),
  };
}

function remoteError(model: string, error: ServiceError): HotloopError {
  const code = errorCodeOf(error.code);
  // grpc-js puts the address into the message of a lost connection; callers must not see it.
  const message =
    code === 'UNAVAILABLE'
      ? `the server of model ${model} cannot be reached, or rejects calls`
      : code === 'DEADLINE_EXCEEDED'
        ? `the server of model ${model} did not answer in time`
        : `the server of model ${model} says: ${error.details.slice(0, 500)}`;
  return new HotloopError(code, message, { reason: 'remote_model', cause: error });
}
