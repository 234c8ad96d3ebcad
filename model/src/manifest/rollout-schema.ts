import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { fractionSchema, nameSchema } from './schema-parts.ts';

/**
 * at_once: when every node is ready. shadow: requests are copied; answers to the copies are logged and compared but
 * not returned. canary: in steps. ab: a fixed share for a measurement; ends by a manual decision. bandit: the share
 * follows the evidence (Thompson sampling).
 */
export const ROLLOUT_MODES = ['at_once', 'shadow', 'canary', 'ab', 'bandit'] as const;
export type RolloutMode = (typeof ROLLOUT_MODES)[number];

/** What completes a step: sufficient evidence from outcomes, a number of requests, a time, or a manual decision. */
export const ADVANCE_RULES = ['evidence', 'requests', 'time', 'manual'] as const;
export type AdvanceRule = (typeof ADVANCE_RULES)[number];

const guardsSchema = z
  .strictObject({
    error_rate: fractionSchema.optional().describe('Share of failed answers of the new version'),
    p99_ms: z.number().positive().optional().describe('Its p99 of queue and run time, milliseconds'),
    nonfinite: fractionSchema.default(0).describe('Share of its answers that were not finite numbers'),
    drift: z
      .number()
      .positive()
      .optional()
      .describe('Population stability index of its scores against the live version, such as 0.25'),
    metric_drop: fractionSchema
      .default(0.02)
      .describe('How much worse it may be, in the share of correct answers (quality from 0 to 1)'),
    slices: z
      .array(nameSchema)
      .min(1)
      .max(5)
      .optional()
      .describe(
        'Features whose values divide the outcomes into slices: metric_drop also applies to each of the largest slices',
      ),
    min_requests: z
      .int()
      .min(1)
      .default(100)
      .describe('Minimum number of answers before a share or p99 counts'),
    min_outcomes: z
      .int()
      .min(2)
      .default(100)
      .describe('Minimum number of outcomes of each version before quality counts'),
    watch: durationSchema.default('1h').describe('How long a version is watched after it became live'),
  })
  .describe('Limits whose violation causes an automatic rollback');

export const rolloutSchema = z
  .strictObject({
    mode: z.enum(ROLLOUT_MODES).default('at_once'),
    promote: z.enum(['automatic', 'manual']).default('automatic'),
    steps: z
      .array(z.number().min(0).max(100))
      .min(1)
      .max(20)
      .refine((steps) => steps.every((step, index) => index === 0 || step > (steps[index - 1] ?? 0)), {
        error: 'must ascend',
      })
      .default([5, 25, 50])
      .describe('canary: percent of the entities at each step; 0 is a shadow, 100 the end'),
    share: fractionSchema.default(0.5).describe('ab, bandit: share of the new version at the start'),
    advance: z.enum(ADVANCE_RULES).default('evidence'),
    requests: z.int().min(1).default(1000).describe('advance: requests; answers that a step needs'),
    every: durationSchema.default('10m').describe('advance: time; how long a step lasts'),
    approvals: z
      .int()
      .min(0)
      .max(5)
      .default(0)
      .describe('Number of people, other than the requester, who must approve'),
    fallback: nameSchema.optional().describe('The model that answers when this one cannot'),
    rollback: guardsSchema.optional(),
  })
  .describe('How a version becomes live');

export type RolloutSpec = z.output<typeof rolloutSchema>;
export type RolloutGuards = z.output<typeof guardsSchema>;
