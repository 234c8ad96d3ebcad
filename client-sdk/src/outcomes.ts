import { randomUUID } from 'node:crypto';
import type { Outcome } from '@hotloop/proto/gen/hotloop/v1/Outcome.ts';
import type { OutcomeResult__Output } from '@hotloop/proto/gen/hotloop/v1/OutcomeResult.ts';
import type { RecordOutcomesReply__Output } from '@hotloop/proto/gen/hotloop/v1/RecordOutcomesReply.ts';
import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { type Attributes, type AttributeValue, encodeAttribute, encodeAttributes } from './attributes.ts';
import type { CallContext, CallPatience } from './call-context.ts';
import { clientErrorCode, HotloopClientError } from './hotloop-client-error.ts';

/** What happened after a prediction. */
export interface OutcomeInput {
  readonly model: string;
  /** Either the prediction, or `keys` as declared in outcome.join. */
  readonly predictionId?: string;
  readonly keys?: Readonly<Record<string, string>>;
  /** binary: 0 or 1, true or false; multiclass: the label; regression: the number. */
  readonly value?: AttributeValue;
  /** Judged by outcome.positive or outcome.label when no value is given. */
  readonly attributes?: Attributes;
  /** When it happened; the time of arrival when absent. */
  readonly occurredAt?: Date | string;
  /** retract takes an earlier report back. Default label. */
  readonly kind?: 'label' | 'retract';
  /** Identifies this report, so that sending it again counts once. Made by the client when absent. */
  readonly id?: string;
}

export interface OutcomeResult {
  readonly id: string;
  readonly status: 'accepted' | 'duplicate' | 'refused';
  /** Why it was refused. */
  readonly error?: HotloopClientError;
}

/** Records outcomes in one call. Refused ones are reported in the results; the others count. */
export async function recordOutcomes(
  context: CallContext,
  outcomes: readonly OutcomeInput[],
  patience: CallPatience = {},
): Promise<readonly OutcomeResult[]> {
  const { feedback } = context.stubs;
  const request = { outcomes: outcomes.map(encodeOutcome) };
  const reply = await context.repeatable<RecordOutcomesReply__Output>(
    (metadata, options, done) => feedback.RecordOutcomes(request, metadata, options, done),
    patience,
  );
  return reply.results.map(decodeResult);
}

function encodeOutcome(outcome: OutcomeInput, index: number): Outcome {
  const { occurredAt } = outcome;
  return {
    id: outcome.id ?? randomUUID(),
    model: outcome.model,
    predictionId: outcome.predictionId ?? '',
    keys: { ...outcome.keys },
    ...(outcome.value === undefined
      ? {}
      : { value: encodeAttribute(outcome.value, `outcomes.${index}.value`) }),
    attributes: encodeAttributes(outcome.attributes ?? {}, `outcomes.${index}.attributes`),
    occurredAt: timeText(occurredAt, index),
    kind: outcome.kind ?? 'label',
  };
}

function timeText(time: Date | string | undefined, index: number): string {
  if (time === undefined || time === '') return '';
  const isTime = time instanceof Date ? !Number.isNaN(time.getTime()) : parseRfc3339(time) !== null;
  if (!isTime)
    throw new HotloopClientError(
      'INVALID_ARGUMENT',
      `outcomes.${index}.occurredAt is not a time of RFC 3339 with its offset, such as 2026-02-28T10:00:00Z`,
    );
  return time instanceof Date ? time.toISOString() : time;
}

function decodeResult(result: OutcomeResult__Output): OutcomeResult {
  const { id, failure } = result;
  if (failure) {
    const error = new HotloopClientError(clientErrorCode(failure.code), failure.message, {
      reason: failure.reason,
    });
    return { id, status: 'refused', error };
  }
  return { id, status: result.status === 'duplicate' ? 'duplicate' : 'accepted' };
}
