import type { CallContext } from '@hotloop/platform/grpc/call-context.ts';
import { clientStream, serverStream, unary } from '@hotloop/platform/grpc/handlers.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { GetModelReply } from '@hotloop/proto/gen/hotloop/v1/GetModelReply.ts';
import type { GetModelRequest__Output } from '@hotloop/proto/gen/hotloop/v1/GetModelRequest.ts';
import type { ListModelsReply } from '@hotloop/proto/gen/hotloop/v1/ListModelsReply.ts';
import type { ModelVersion } from '@hotloop/proto/gen/hotloop/v1/ModelVersion.ts';
import type { PromoteProgress } from '@hotloop/proto/gen/hotloop/v1/PromoteProgress.ts';
import type { PromoteRequest__Output } from '@hotloop/proto/gen/hotloop/v1/PromoteRequest.ts';
import type { PushModelReply } from '@hotloop/proto/gen/hotloop/v1/PushModelReply.ts';
import type { PushModelRequest__Output } from '@hotloop/proto/gen/hotloop/v1/PushModelRequest.ts';
import type { RegistryServiceHandlers } from '@hotloop/proto/gen/hotloop/v1/RegistryService.ts';
import type { RollbackRequest__Output } from '@hotloop/proto/gen/hotloop/v1/RollbackRequest.ts';
import { getModel, listModels, type VersionDetails } from '../registry/list-models.ts';
import { permitPush } from '../registry/permit-push.ts';
import { type PushDependencies, type PushLimits, pushModel } from '../registry/push-model.ts';
import { type PromotionOptions, promote, type Report, rollback } from '../rollouts/promote.ts';
import { reportsOf } from './reports-of.ts';

export interface RegistryServiceOptions {
  readonly promotion: PromotionOptions;
  readonly push: PushLimits;
}

/** Maps RegistryService to the registry's use cases and back. Decides nothing. */
export function registryHandlers(
  dependencies: PushDependencies,
  options: RegistryServiceOptions,
): RegistryServiceHandlers {
  const { pool } = dependencies;
  const streamed = (
    context: CallContext,
    run: (report: Report, signal: AbortSignal) => Promise<unknown>,
  ): AsyncIterable<PromoteProgress> => {
    const signal = AbortSignal.any([context.signal, context.draining]);
    return reportsOf<PromoteProgress>((report) => run((progress) => report({ ...progress }), signal));
  };
  return {
    PushModel: clientStream(
      async (messages: AsyncIterable<PushModelRequest__Output>, context): Promise<PushModelReply> => {
        const parts = messages[Symbol.asyncIterator]();
        const first = await parts.next();
        const header = first.done ? null : first.value.header;
        if (!header)
          throw new HotloopError(
            'INVALID_ARGUMENT',
            'header: the first message of an upload must be the header',
          );
        const actor = actorOf(context, '');
        const pushed = await pushModel(header, chunksOf(parts), actor, dependencies, {
          ...options.push,
          permit: (manifest) => permitPush(context.caller, manifest, pool),
        });
        const { versions } = await getModel(pool, pushed.model);
        const version = versions.find((candidate) => candidate.version === pushed.version);
        return {
          version: version ? versionMessage(version) : null,
          created: pushed.created,
          weightsFrom: pushed.weightsFrom ?? 0,
          newColumns: [...(pushed.newColumns ?? [])],
        };
      },
    ),
    ListModels: unary(async (): Promise<ListModelsReply> => ({ models: [...(await listModels(pool))] })),
    GetModel: unary(async ({ model }: GetModelRequest__Output): Promise<GetModelReply> => {
      const details = await getModel(pool, model);
      return { model: details.model, versions: details.versions.map(versionMessage) };
    }),
    Promote: serverStream((request: PromoteRequest__Output, context) =>
      streamed(context, (report, signal) => {
        const actor = actorOf(context, request.actor);
        return promote({ ...request, actor }, dependencies, options.promotion, report, signal);
      }),
    ),
    Rollback: serverStream((request: RollbackRequest__Output, context) =>
      streamed(context, (report, signal) => {
        const actor = actorOf(context, request.actor);
        return rollback(request.model, actor, dependencies, options.promotion, report, signal);
      }),
    ),
  };
}

/** The actor for the ledger: the subject of the key; where keys are off, the name that the caller gives. */
function actorOf({ caller }: CallContext, claimed: string): string {
  return caller.subject || claimed.replaceAll('\0', '').slice(0, 200) || 'anonymous';
}

async function* chunksOf(parts: AsyncIterator<PushModelRequest__Output>): AsyncGenerator<Uint8Array> {
  for (let next = await parts.next(); !next.done; next = await parts.next()) {
    if (next.value.part !== 'chunk' || !next.value.chunk)
      throw new HotloopError('INVALID_ARGUMENT', 'chunk: every message after the header must be a chunk');
    yield next.value.chunk;
  }
}

function versionMessage(version: VersionDetails): ModelVersion {
  return {
    model: version.model,
    version: version.version,
    bundleSha256: version.bundleSha256,
    onnxSha256: version.onnxSha256,
    parentVersion: version.parentVersion ?? 0,
    datasetSha256: version.datasetSha256 ?? '',
    runId: version.runId ?? '',
    state: version.state,
    metrics: { ...version.metrics },
    createdAt: new Date(version.createdAt).toISOString(),
    note: version.note,
    nodes: version.nodes.map((node) => ({ ...node })),
  };
}
