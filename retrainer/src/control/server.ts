import type { ServedService } from '@hotloop/platform/grpc/server.ts';
import type { OutcomeDependencies } from '../outcomes/record-outcomes.ts';
import type { PushDependencies } from '../registry/push-model.ts';
import { feedbackHandlers } from './feedback-handlers.ts';
import { type JobDependencies, jobHandlers } from './job-handlers.ts';
import { type RegistryServiceOptions, registryHandlers } from './registry-handlers.ts';

/** The contract files that `retrainerServices` serves. */
export const RETRAINER_CONTRACTS = [
  'hotloop/v1/registry.proto',
  'hotloop/v1/feedback.proto',
  'hotloop/v1/jobs.proto',
] as const;

/** The three services of the retrainer. Maps only. */
export function retrainerServices(
  registry: PushDependencies,
  outcomes: OutcomeDependencies,
  jobs: JobDependencies,
  options: RegistryServiceOptions,
): readonly ServedService[] {
  return [
    { name: 'hotloop.v1.RegistryService', handlers: registryHandlers(registry, options) },
    { name: 'hotloop.v1.FeedbackService', handlers: feedbackHandlers(outcomes) },
    { name: 'hotloop.v1.JobService', handlers: jobHandlers(jobs) },
  ];
}
