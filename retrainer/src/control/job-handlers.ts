import { type Caller, permitModel } from '@hotloop/platform/auth/authorization.ts';
import { attributesToMessage } from '@hotloop/platform/grpc/attributes.ts';
import { serverStream, unary } from '@hotloop/platform/grpc/handlers.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { GetLoopReply } from '@hotloop/proto/gen/hotloop/v1/GetLoopReply.ts';
import type { GetLoopRequest__Output } from '@hotloop/proto/gen/hotloop/v1/GetLoopRequest.ts';
import type { GetRunRequest__Output } from '@hotloop/proto/gen/hotloop/v1/GetRunRequest.ts';
import type { JobServiceHandlers } from '@hotloop/proto/gen/hotloop/v1/JobService.ts';
import type { ListRunsReply } from '@hotloop/proto/gen/hotloop/v1/ListRunsReply.ts';
import type { ListRunsRequest__Output } from '@hotloop/proto/gen/hotloop/v1/ListRunsRequest.ts';
import type { RetrainReply } from '@hotloop/proto/gen/hotloop/v1/RetrainReply.ts';
import type { RetrainRequest__Output } from '@hotloop/proto/gen/hotloop/v1/RetrainRequest.ts';
import type { Run } from '@hotloop/proto/gen/hotloop/v1/Run.ts';
import type { TraceReply } from '@hotloop/proto/gen/hotloop/v1/TraceReply.ts';
import type { TraceRequest__Output } from '@hotloop/proto/gen/hotloop/v1/TraceRequest.ts';
import type { LoopReader } from '../datasets/loop-state.ts';
import type { ModelRules } from '../outcomes/model-rules.ts';
import { requestRun } from '../runs/request-run.ts';
import type { TrainingRun } from '../runs/run.ts';
import { listRuns } from '../runs/run-store.ts';
import { getRun, watchRun } from '../runs/watch-run.ts';
import { predictedModel } from '../trace/predicted-model.ts';
import { tracePrediction } from '../trace/trace-prediction.ts';

export interface JobDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly rules: ModelRules;
  readonly loop: LoopReader;
  /** Tells the outbox that a run waits. */
  readonly wake: () => void;
}

const POLL_MS = 200;
const DEFAULT_RUNS = 20;
const MAX_RUNS = 1_000;

/** Maps JobService to the training runs, the loop's state and the trace, and back. Decides nothing. */
export function jobHandlers({ pool, registry, rules, loop, wake }: JobDependencies): JobServiceHandlers {
  return {
    Retrain: unary(async (request: RetrainRequest__Output): Promise<RetrainReply> => {
      const { run, created } = await requestRun(request, pool, registry);
      wake();
      return { runId: run.runId, created };
    }),
    GetRun: unary(async ({ runId }: GetRunRequest__Output, { caller }) => {
      const run = await getRun(pool, runId);
      permitModel(caller, run.model);
      return runMessage(run);
    }),
    ListRuns: unary(async ({ model, limit }: ListRunsRequest__Output): Promise<ListRunsReply> => {
      const runs = await listRuns(pool, model, Math.min(limit || DEFAULT_RUNS, MAX_RUNS));
      return { runs: runs.map(runMessage) };
    }),
    WatchRun: serverStream(async function* ({ runId }: GetRunRequest__Output, context) {
      const signal = AbortSignal.any([context.signal, context.draining]);
      for await (const run of watchRun(pool, runId, POLL_MS, signal)) {
        permitModel(context.caller, run.model);
        yield runMessage(run);
      }
    }),
    GetLoop: unary(async ({ model }: GetLoopRequest__Output): Promise<GetLoopReply> => {
      const { latestRun, ...state } = await loop.read(model);
      return { ...state, latestRun: latestRun === null ? null : runMessage(latestRun) };
    }),
    Trace: unary(async ({ predictionId }: TraceRequest__Output, { caller }): Promise<TraceReply> => {
      const steps = await tracePrediction(predictionId, pool, rules);
      if (caller.models) await permitTrace(caller, pool, predictionId);
      return {
        predictionId: predictionId.toLowerCase(),
        steps: steps.map((step) => ({
          ...step,
          at: new Date(step.at).toISOString(),
          attributes: attributesToMessage(step.attributes),
        })),
      };
    }),
  };
}

/** For a key that is limited to some models. Throws PERMISSION_DENIED; NOT_FOUND when the log does not say whose the id is. */
async function permitTrace(caller: Caller, pool: Pool, predictionId: string): Promise<void> {
  const predicted = await predictedModel(pool, predictionId);
  if (!predicted) throw new HotloopError('NOT_FOUND', `prediction ${predictionId} is not in the log`);
  permitModel(caller, predicted.model);
}

function runMessage(run: TrainingRun): Run {
  return {
    runId: run.runId,
    model: run.model,
    state: run.state,
    message: run.message,
    parentVersion: run.parentVersion ?? 0,
    version: run.version ?? 0,
    examples: run.examples,
    progress: run.progress,
    metrics: { ...run.metrics },
    createdAt: new Date(run.createdAt).toISOString(),
    endedAt: run.endedAt === null ? '' : new Date(run.endedAt).toISOString(),
    datasetSha256: run.datasetSha256 ?? '',
  };
}
