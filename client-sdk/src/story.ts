import type { GetLoopReply__Output } from '@hotloop/proto/gen/hotloop/v1/GetLoopReply.ts';
import type { TraceReply__Output } from '@hotloop/proto/gen/hotloop/v1/TraceReply.ts';
import { type AttributeValue, decodeAttribute } from './attributes.ts';
import type { CallContext, CallPatience } from './call-context.ts';

/** The state of one model's loop. */
export type LoopState = GetLoopReply__Output;

/** One step in the trace of a prediction. */
export interface StoryStep {
  /** request, output, decision, outcome, dataset, run, gate or promotion. */
  readonly kind: string;
  /** RFC 3339. */
  readonly at: string;
  readonly service: string;
  readonly summary: string;
  readonly attributes: Readonly<Record<string, AttributeValue | null>>;
}

/** Everything known about one prediction, in order of time. */
export interface Story {
  readonly predictionId: string;
  readonly steps: readonly StoryStep[];
}

/** The state of a model's loop: live version, logged predictions, outcomes, latest run. */
export function loopState(context: CallContext, model: string, patience?: CallPatience): Promise<LoopState> {
  const { jobs } = context.stubs;
  return context.repeatable<LoopState>(
    (metadata, options, done) => jobs.GetLoop({ model }, metadata, options, done),
    patience,
  );
}

/** The trace of one prediction. Throws NOT_FOUND for an unknown id. */
export async function trace(
  context: CallContext,
  predictionId: string,
  patience?: CallPatience,
): Promise<Story> {
  const { jobs } = context.stubs;
  const reply = await context.repeatable<TraceReply__Output>(
    (metadata, options, done) => jobs.Trace({ predictionId }, metadata, options, done),
    patience,
  );
  return {
    predictionId: reply.predictionId,
    steps: reply.steps.map((step) => ({
      kind: step.kind,
      at: step.at,
      service: step.service,
      summary: step.summary,
      attributes: Object.fromEntries(
        Object.entries(step.attributes).map(([name, value]) => [name, decodeAttribute(value)]),
      ),
    })),
  };
}
