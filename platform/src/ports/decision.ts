import type { Decision, DecisionInput } from '@hotloop/model/decision/decision.ts';
import type { Variant } from '@hotloop/model/variant.ts';
import type { Cancellation } from '../framed/cancellation.ts';

export interface DecideItem extends DecisionInput {
  readonly model: string;
  readonly version: number;
  readonly variant: Variant;
  readonly timeoutMs: number;
  readonly sampled: boolean;
}

/**
 * Preprocessor -> postprocessor. Two adapters: gRPC stream, and direct call. Pure except for the decision's journal
 * entry. Rejects with HotloopError: NOT_FOUND (version unknown), INVALID_ARGUMENT (outputs do not fit the task).
 */
export interface DecisionPort {
  decide(item: DecideItem, signal?: Cancellation): Promise<Decision>;
}
