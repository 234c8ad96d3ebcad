import { permitModel } from '@hotloop/platform/auth/authorization.ts';
import { toFailure } from '@hotloop/platform/framed/status.ts';
import { attributesFromMessage, textsFromMessage } from '@hotloop/platform/grpc/attributes.ts';
import { unary } from '@hotloop/platform/grpc/handlers.ts';
import type { FeedbackServiceHandlers } from '@hotloop/proto/gen/hotloop/v1/FeedbackService.ts';
import type { Outcome__Output } from '@hotloop/proto/gen/hotloop/v1/Outcome.ts';
import type { RecordOutcomesReply } from '@hotloop/proto/gen/hotloop/v1/RecordOutcomesReply.ts';
import type { RecordOutcomesRequest__Output } from '@hotloop/proto/gen/hotloop/v1/RecordOutcomesRequest.ts';
import {
  type OutcomeDependencies,
  type OutcomeRequest,
  recordOutcomes,
} from '../outcomes/record-outcomes.ts';

const SOURCE = 'sdk';

/** Maps FeedbackService to the recording of outcomes and back. Decides nothing. */
export function feedbackHandlers(dependencies: OutcomeDependencies): FeedbackServiceHandlers {
  return {
    RecordOutcomes: unary(
      async ({ outcomes }: RecordOutcomesRequest__Output, { caller }): Promise<RecordOutcomesReply> => {
        for (const { model } of outcomes) permitModel(caller, model);
        const verdicts = await recordOutcomes(outcomes.map(requestOf), dependencies);
        return {
          accepted: verdicts.filter((verdict) => verdict.status === 'accepted').length,
          duplicates: verdicts.filter((verdict) => verdict.status === 'duplicate').length,
          results: verdicts.map(({ id, status, error }) => ({
            id,
            status,
            failure: error === null ? null : toFailure(error),
          })),
        };
      },
    ),
  };
}

function requestOf(message: Outcome__Output): OutcomeRequest {
  const value = message.value ? attributesFromMessage({ value: message.value }).value : undefined;
  return {
    model: message.model,
    report: {
      id: message.id,
      source: SOURCE,
      kind: message.kind,
      predictionId: message.predictionId,
      keys: textsFromMessage(message.keys),
      value: value ?? null,
      attributes: attributesFromMessage(message.attributes),
      occurredAt: message.occurredAt,
    },
  };
}
