import { permit, permitModel } from '@hotloop/platform/auth/authorization.ts';
import { framedHandler } from '@hotloop/platform/framed/served/framed-server.ts';
import { toFailure } from '@hotloop/platform/framed/status.ts';
import {
  attributesFromMessage,
  candidateFromMessage,
  textsFromMessage,
} from '@hotloop/platform/grpc/attributes.ts';
import type { CallContext } from '@hotloop/platform/grpc/call-context.ts';
import { unary } from '@hotloop/platform/grpc/handlers.ts';
import type { LateRequest } from '@hotloop/platform/grpc/late-request.ts';
import { toLoggedStatus } from '@hotloop/platform/grpc/logged-status.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Failure } from '@hotloop/proto/gen/hotloop/v1/Failure.ts';
import type { PredictBatchReply } from '@hotloop/proto/gen/hotloop/v1/PredictBatchReply.ts';
import type { PredictBatchRequest__Output } from '@hotloop/proto/gen/hotloop/v1/PredictBatchRequest.ts';
import type { PredictItem__Output } from '@hotloop/proto/gen/hotloop/v1/PredictItem.ts';
import type { PredictionServiceHandlers } from '@hotloop/proto/gen/hotloop/v1/PredictionService.ts';
import type { PredictReply } from '@hotloop/proto/gen/hotloop/v1/PredictReply.ts';
import type { PredictReplyItem } from '@hotloop/proto/gen/hotloop/v1/PredictReplyItem.ts';
import type { PredictRequest__Output } from '@hotloop/proto/gen/hotloop/v1/PredictRequest.ts';
import type { PredictResult } from '@hotloop/proto/gen/hotloop/v1/PredictResult.ts';
import { ADMISSION_DEFAULTS } from './admission.ts';
import type { Predictor } from './predict.ts';
import type { Prediction, PredictionRequest } from './prediction.ts';

export interface TimeoutOptions {
  /** For a caller that sets no deadline. */
  readonly defaultTimeoutMs: number;
  /** Maximum timeout. */
  readonly maxTimeoutMs: number;
}

const MAX_BATCH = 4096;

/** Maps PredictionService to the predictor and back; contains no logic. Serve `Predict` with late requests. */
export function predictionHandlers(predictor: Predictor, timeouts: TimeoutOptions) {
  /** The shorter timeout of item and call; 0 in an item means that it sets none. */
  const grant = (itemTimeoutMs: number, callTimeoutMs: number): number => {
    const wanted = itemTimeoutMs > 0 ? Math.min(itemTimeoutMs, callTimeoutMs) : callTimeoutMs;
    return Math.min(Number.isFinite(wanted) ? wanted : timeouts.defaultTimeoutMs, timeouts.maxTimeoutMs);
  };
  return {
    Predict: unary(async (late: LateRequest<PredictRequest__Output>, context) => {
      const { caller, signal } = context;
      permit(caller, late.model);
      const call = { caller: caller.subject, timeoutMs: grant(0, context.remainingMs()), signal };
      const refusal = predictor.refusal(late.model, call);
      if (refusal) throw refusal;
      const message = late.read();
      permitModel(caller, message.model);
      const timeoutMs = grant(message.timeoutMs, context.remainingMs());
      return replyOf(await predictor.predict(requestOf(message), { ...call, timeoutMs }));
    }),
    PredictBatch: unary(
      async ({ requests }: PredictBatchRequest__Output, context): Promise<PredictBatchReply> => {
        if (requests.length > MAX_BATCH)
          throw new HotloopError(
            'INVALID_ARGUMENT',
            `a batch may contain at most ${MAX_BATCH} requests, not ${requests.length}; use PredictStream`,
          );
        const { caller, signal } = context;
        const results = requests.map(async (message): Promise<PredictResult> => {
          const timeoutMs = grant(message.timeoutMs, context.remainingMs());
          const call = { caller: caller.subject, timeoutMs, signal };
          try {
            permit(caller, message.model);
            return { reply: replyOf(await predictor.predict(requestOf(message), call)) };
          } catch (error) {
            return { failure: failureOf(error, context) };
          }
        });
        return { results: await Promise.all(results) };
      },
    ),
    PredictStream: framedHandler<PredictItem__Output, PredictReplyItem>({
      // Not async, so that a rejection returns here before anything is allocated for the item.
      handle({ request }, context) {
        if (!request) throw new HotloopError('INVALID_ARGUMENT', 'the item has no request');
        const { caller, cancellation: signal } = context;
        permit(caller, request.model);
        const call = { caller: caller.subject, timeoutMs: context.remainingMs(), signal };
        const refusal = predictor.refusal(request.model, call);
        if (refusal) throw refusal;
        return predictor
          .predict(requestOf(request), call)
          .then((prediction) => ({ reply: replyOf(prediction) }));
      },
      timeoutMsOf: ({ request }) => request?.timeoutMs ?? 0,
      // Admission limits concurrency. An item waiting on its stream would use up its timeout there.
      maxRunning: ADMISSION_DEFAULTS.maxInFlight,
      ...timeouts,
      sizeOf: ({ reply }) =>
        128 + (reply?.decision?.ranked?.length ?? 0) * 64 + (reply?.featureStatuses?.length ?? 0) * 32,
    }),
  } satisfies Record<keyof PredictionServiceHandlers, unknown>;
}

/** As for a stream's item: the cause of an internal error is logged under the call's request id. */
function failureOf(error: unknown, context: CallContext): Failure {
  toLoggedStatus(error, context);
  return toFailure(error);
}

function requestOf(message: PredictRequest__Output): PredictionRequest {
  return {
    model: message.model,
    version: message.version,
    predictionId: message.predictionId,
    entities: textsFromMessage(message.entities),
    request: attributesFromMessage(message.request),
    candidates: message.candidates.map(candidateFromMessage),
    wantFeatureStatuses: message.wantFeatureStatuses,
    traceparent: message.traceparent,
  };
}

function replyOf(prediction: Prediction): PredictReply {
  const { label, score, scores, ranked } = prediction.decision;
  return {
    predictionId: prediction.predictionId,
    model: prediction.model,
    version: prediction.version,
    variant: prediction.variant,
    decision: { label, score, scores: [...scores], ranked: [...ranked] },
    featureStatuses: [...prediction.featureStatuses],
    degraded: [...prediction.degraded],
  };
}
