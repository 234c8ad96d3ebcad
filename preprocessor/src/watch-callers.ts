import type { Clock } from '@hotloop/platform/clock.ts';
import type { DecisionPort } from '@hotloop/platform/ports/decision.ts';
import type { InferencePort } from '@hotloop/platform/ports/inference.ts';
import { requestEventOf } from '@hotloop/platform/postgres/event-shape-store.ts';
import { type ErrorCode, toHotloopError } from '@hotloop/proto/errors.ts';
import { boundedNames, MOST_CALLERS } from './bounded-names.ts';
import type { CountRefused, CountShapes } from './event-shapes.ts';
import type { Predictor } from './predict.ts';
import type { PredictionCall, PredictionRequest } from './prediction.ts';

export interface WatchCallersDependencies {
  readonly inference: InferencePort;
  readonly decision: DecisionPort;
  /** Whether a name is a registered model. Other names come from callers and are not counted. */
  readonly isModel: (name: string) => boolean;
  readonly countShapes?: CountShapes;
  readonly countRefused?: CountRefused;
  readonly clock: Clock;
}

export interface WatchedCallers {
  /**
   * Replaces the given inference port: requests that reach it are in compute's log, even if they fail, so they are
   * not counted here.
   */
  readonly inference: InferencePort;
  readonly decision: DecisionPort;
  /** Counts the requests of a predictor's callers, and its rejections. */
  watch(predictor: Predictor): Predictor;
}

/**
 * Requests per second and caller whose fields are counted: a few are enough to see the types, and the path of all
 * requests stays short.
 */
const SEEN_A_SECOND = 20;
/** Errors that compute raises before its queue, so without a row in its log. */
const NOT_LOGGED: ReadonlySet<ErrorCode> = new Set([
  'RESOURCE_EXHAUSTED',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'FAILED_PRECONDITION',
]);

interface Budget {
  readonly second: number;
  seen: number;
}

/**
 * Counts, by caller, the types of the fields of requests (some per second) and the calls that were rejected by the
 * preprocessor. Requests of topics are counted where they are read, with their offsets.
 */
export function watchCallers({
  inference,
  decision,
  isModel,
  countShapes,
  countRefused,
  clock,
}: WatchCallersDependencies): WatchedCallers {
  const logged = new WeakSet<object>();
  const nameOf = boundedNames(MOST_CALLERS);
  const budgets = new Map<string, Map<string, Budget>>();

  const isSeen = (model: string, caller: string, now: number): boolean => {
    const ofModel = budgets.get(model) ?? new Map<string, Budget>();
    budgets.set(model, ofModel);
    const second = Math.floor(now / 1000);
    const known = ofModel.get(caller);
    const budget = known?.second === second ? known : { second, seen: 0 };
    if (budget !== known) ofModel.set(caller, budget);
    return budget.seen++ < SEEN_A_SECOND;
  };

  const look = (request: PredictionRequest, { caller }: PredictionCall): void => {
    if (!countShapes || caller.startsWith('kafka:') || !isModel(request.model)) return;
    const [name, now] = [nameOf(caller), clock.now()];
    if (!isSeen(request.model, name, now)) return;
    const fields: Record<string, unknown> = { ...request.request };
    for (const [key, value] of Object.entries(request.candidates[0]?.attributes ?? {}))
      fields[`item.${key}`] = value;
    countShapes([
      {
        ...{ topic: `caller ${name === '' ? '(no key)' : name}`, partition: null, offset: null },
        ...{ event: requestEventOf(request.model), fields, atMs: now },
      },
    ]);
  };

  const refused = (model: string, caller: string, code: ErrorCode): void => {
    if (!countRefused || !isModel(model)) return;
    const minute = Math.floor(clock.now() / 60_000) * 60_000;
    countRefused({ model, minute, caller: nameOf(caller), code });
  };

  return {
    inference: {
      infer(item, signal) {
        const answer = inference.infer(item, signal);
        answer.catch((error: unknown) => {
          if (error instanceof Error && !NOT_LOGGED.has(toHotloopError(error).code)) logged.add(error);
        });
        return answer;
      },
    },
    decision: {
      decide(item, signal) {
        const answer = decision.decide(item, signal);
        answer.catch((error: unknown) => {
          if (error instanceof Error) logged.add(error);
        });
        return answer;
      },
    },
    watch: (predictor) => ({
      async predict(request, call) {
        look(request, call);
        try {
          return await predictor.predict(request, call);
        } catch (error) {
          if (!(error instanceof Error && logged.has(error)))
            refused(request.model, call.caller, toHotloopError(error).code);
          throw error;
        }
      },
      refusal(model, call) {
        const refusal = predictor.refusal(model, call);
        if (refusal) refused(model, call.caller, refusal.code);
        return refusal;
      },
      get inFlight() {
        return predictor.inFlight;
      },
      [Symbol.dispose]: () => predictor[Symbol.dispose](),
    }),
  };
}
