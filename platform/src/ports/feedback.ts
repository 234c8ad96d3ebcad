import type { AttributeValue } from '@hotloop/model/value.ts';
import type { HotloopError } from '@hotloop/proto/errors.ts';

/** What happened after a prediction, as reported by an application. */
export interface FeedbackItem {
  /** Identifies the report; sending it again has no effect. */
  readonly id: string;
  readonly model: string;
  /** Either the prediction, or `keys` as declared in outcome.join; empty when keys are given. */
  readonly predictionId: string;
  readonly keys: Readonly<Record<string, string>>;
  /** null: the model's rule computes the label from the attributes. */
  readonly value: AttributeValue | null;
  readonly attributes: Readonly<Record<string, AttributeValue>>;
  /** RFC 3339; empty: the time of arrival. */
  readonly occurredAt: string;
  /** label (also when empty) or retract. */
  readonly kind: string;
}

export interface FeedbackVerdict {
  readonly id: string;
  readonly status: 'accepted' | 'duplicate' | 'refused';
  /** Why the item was rejected; null otherwise. */
  readonly error: HotloopError | null;
}

/**
 * Preprocessor -> retrainer. Two adapters: gRPC, and direct call. Returns one verdict per item, in order, after the
 * items are stored. Rejects UNAVAILABLE when none could be stored; the same items may then be sent again.
 */
export interface FeedbackPort {
  recordOutcomes(items: readonly FeedbackItem[], timeoutMs: number): Promise<readonly FeedbackVerdict[]>;
}
