import type { AttributeValue } from '@hotloop/model/value.ts';
import type { HotloopError } from '@hotloop/proto/errors.ts';

/** What happened after a prediction, as an application reports it. */
export interface FeedbackItem {
  /** Identifies the report: sending it again counts once. */
  readonly id: string;
  readonly model: string;
  /** Either the prediction, or `keys` as outcome.join declares them; empty when keys are given. */
  readonly predictionId: string;
  readonly keys: Readonly<Record<string, string>>;
  /** null: the attributes are judged by the model's rule. */
  readonly value: AttributeValue | null;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** RFC 3339; the time of arrival when empty. */
  readonly occurredAt: string;
  /** label (also when empty) or retract. */
  readonly kind: string;
}

export interface FeedbackVerdict {
  readonly id: string;
  readonly status: 'accepted' | 'duplicate' | 'refused';
  /** Why it was refused; null otherwise. */
  readonly error: HotloopError | null;
}

/**
 * Preprocessor -> retrainer. Two adapters: gRPC, and direct call. One verdict for each item, in order, after they are
 * stored. Rejects UNAVAILABLE when none could be stored; the same items may then be sent again.
 */
export interface FeedbackPort {
  recordOutcomes(items: readonly FeedbackItem[], timeoutMs: number): Promise<readonly FeedbackVerdict[]>;
}
