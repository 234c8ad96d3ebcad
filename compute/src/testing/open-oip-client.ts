import type { ServiceError } from '@grpc/grpc-js';
import { openChannel, withDeadline } from '@hotloop/platform/grpc/client.ts';
import { openServiceClient } from '@hotloop/platform/grpc/service-client.ts';
import { loadOipDefinitions } from '@hotloop/proto/definitions.ts';
import { errorCodeOf } from '@hotloop/proto/errors.ts';
import type { GRPCInferenceServiceClient } from '@hotloop/proto/gen/inference/GRPCInferenceService.ts';
import type { ModelInferRequest } from '@hotloop/proto/gen/inference/ModelInferRequest.ts';
import type { ModelInferResponse__Output } from '@hotloop/proto/gen/inference/ModelInferResponse.ts';

export interface OipClient extends Disposable {
  readonly raw: GRPCInferenceServiceClient;
  /** Calls any unary method by its name. Rejects with `CODE: message`. */
  call<Reply>(method: string, request: object): Promise<Reply>;
  infer(request: ModelInferRequest): Promise<ModelInferResponse__Output>;
}

export function openOipClient(address: string): OipClient {
  const raw = openServiceClient<GRPCInferenceServiceClient>(
    openChannel(address),
    loadOipDefinitions(),
    'inference.GRPCInferenceService',
  );
  const call = <Reply>(method: string, request: object): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const run = raw[method as 'ModelInfer'].bind(raw) as (
        request: object,
        options: object,
        callback: (error: ServiceError | null, reply?: unknown) => void,
      ) => void;
      run(request, withDeadline(10_000), (error, reply) => {
        if (error) reject(new Error(`${errorCodeOf(error.code)}: ${error.details}`));
        else resolve(reply as Reply);
      });
    });
  return {
    raw,
    call,
    infer: (request) => call('ModelInfer', request),
    [Symbol.dispose]: () => raw.close(),
  };
}
