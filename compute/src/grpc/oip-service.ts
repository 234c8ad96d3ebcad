import { permitModel } from '@hotloop/platform/auth/authorization.ts';
import { orderedStream } from '@hotloop/platform/framed/served/ordered-stream.ts';
import type { CallContext } from '@hotloop/platform/grpc/call-context.ts';
import { unary } from '@hotloop/platform/grpc/handlers.ts';
import type { ServedService } from '@hotloop/platform/grpc/server.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import type { ModelConfigRequest__Output } from '@hotloop/proto/gen/inference/ModelConfigRequest.ts';
import type { RepositoryIndexRequest__Output } from '@hotloop/proto/gen/inference/RepositoryIndexRequest.ts';
import type { RepositoryModelLoadRequest__Output } from '@hotloop/proto/gen/inference/RepositoryModelLoadRequest.ts';
import { camelCased } from '../oip/camel-cased.ts';
import type { InferRequestMessage } from '../oip/decode-infer-request.ts';
import { encodeInferResponse, encodeStreamFailure } from '../oip/encode-infer-response.ts';
import { EXTENSIONS, SERVER_NAME, SERVER_VERSION } from '../oip/model-views.ts';
import type { OipInference } from '../oip/oip-inference.ts';
import type { OipModels } from '../oip/oip-models.ts';
import type { OipAnswer } from '../oip/oip-request.ts';
import { readGrpcRequest } from '../oip/read-grpc-request.ts';
import { invalid } from '../oip/tensor-checks.ts';

export const OIP_SERVICE = 'inference.GRPCInferenceService';

export interface OipParts {
  readonly inference: OipInference;
  readonly models: OipModels;
  /** False once draining has begun. */
  isReady(): boolean;
}

type NameAndVersion = Pick<ModelConfigRequest__Output, 'name' | 'version'>;

/**
 * The Open Inference Protocol over gRPC: maps messages to domain and back; contains no logic. Serve it with
 * `hotDefinitions`, because its answers are already encoded.
 */
export function oipService({ inference, models, isReady }: OipParts): ServedService {
  function infer(message: InferRequestMessage, context: CallContext): Promise<OipAnswer> {
    permitModel(context.caller, message.modelName);
    const request = readGrpcRequest(message, context.remainingMs());
    return inference.answer(request, context.caller.subject, () => context.isOver());
  }
  async function streamInfer(message: InferRequestMessage, context: CallContext): Promise<Buffer> {
    try {
      return encodeInferResponse(await infer(message, context), 'stream');
    } catch (error) {
      // Only the message: these clients check whether the error text is empty, and ignore codes.
      const { message: text } = toHotloopError(error);
      const { id, modelName, modelVersion } = message;
      return encodeStreamFailure({ message: text, id, model: modelName, version: modelVersion });
    }
  }
  return {
    name: OIP_SERVICE,
    handlers: {
      ServerLive: unary(async () => ({ live: true })),
      ServerReady: unary(async () => ({ ready: isReady() })),
      ServerMetadata: unary(async () => ({
        name: SERVER_NAME,
        version: SERVER_VERSION,
        extensions: EXTENSIONS,
      })),
      ModelReady: unary(async (ask: NameAndVersion) => ({ ready: models.isReady(ask.name, ask.version) })),
      ModelMetadata: unary(async (ask: NameAndVersion, context) =>
        models.metadata(ask.name, ask.version, context.remainingMs()),
      ),
      ModelConfig: unary(async (ask: NameAndVersion, context) => ({
        config: camelCased(await models.config(ask.name, ask.version, context.remainingMs())),
      })),
      ModelStatistics: unary(async (ask: NameAndVersion, context) => ({
        modelStats: camelCased(await models.statistics(ask.name, ask.version, context.remainingMs())),
      })),
      ModelInfer: unary(async (message: InferRequestMessage, context: CallContext) =>
        encodeInferResponse(await infer(message, context), 'unary'),
      ),
      ModelStreamInfer: orderedStream(streamInfer, ({ message }) =>
        encodeStreamFailure({ message, id: '', model: '', version: '' }),
      ),
      RepositoryIndex: unary(async (ask: RepositoryIndexRequest__Output) => ({
        models: models.index(ask.ready),
      })),
      RepositoryModelLoad: unary(async (ask: RepositoryModelLoadRequest__Output, context) => {
        const modelName = modelOf(ask);
        await models.load(modelName, versionOf(ask), Object.keys(ask.parameters), context.remainingMs());
        return { modelName, isLoaded: true };
      }),
      RepositoryModelUnload: unary(async (ask: RepositoryModelLoadRequest__Output) => {
        const modelName = modelOf(ask);
        models.unload(modelName, versionOf(ask));
        return { modelName, isUnloaded: true };
      }),
    },
  };
}

/** Some clients put the model's name into `modelName`, others into `repositoryName`. */
function modelOf(ask: RepositoryModelLoadRequest__Output): string {
  return ask.modelName === '' ? ask.repositoryName : ask.modelName;
}

/**
 * Empty when no version is given. A version of another type is rejected: ignoring it would load another version, or
 * unload all versions.
 */
function versionOf({ parameters }: RepositoryModelLoadRequest__Output): string {
  if (parameters.version === undefined) return '';
  const { stringParam, int64Param } = parameters.version;
  const version = stringParam ?? int64Param;
  if (version === undefined) throw invalid("parameter 'version' must be a text or an integer");
  return version;
}
