import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import { type OutcomeDependencies, recordOutcomes } from './record-outcomes.ts';

/** The feedback port within one process; FeedbackService is the same over gRPC. */
export function directFeedback(dependencies: OutcomeDependencies): FeedbackPort {
  return {
    recordOutcomes: (items) =>
      recordOutcomes(
        items.map(({ model, ...report }) => ({ model, report: { ...report, source: 'sdk' } })),
        dependencies,
      ),
  };
}
