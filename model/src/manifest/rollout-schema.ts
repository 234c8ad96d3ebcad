import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { fractionSchema, nameSchema } from './schema-parts.ts';

/**
 * at_once: when every node is ready. shadow: answers of copied requests are logged and compared, nobody sees them. canary: in steps.
 * ab: a fixed share, to measure; ends when a person decides. bandit: the share follows the evidence (Thompson sampling).
 */
export const ROLLOUT_MODES = ['at_once', 'shadow', 'canary', 'ab', 'bandit'] as const;
export type RolloutMode = (typeof ROLLOUT_MODES)[number];

/** What lets a step end: outcomes that show enough, answers given, time passed, or a person. */
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
      .describe('How much worse it may be, in the share of right answers (quality from 0 to 1)'),
    slices: z
      .array(nameSchema)
      .min(1)
      .max(5)
      .optional()
      .describe(
        'Features whose values divide the outcomes: metric_drop also holds in each of the largest parts',
      ),
    min_requests: z.int().min(1).default(100).describe('Answers before a share or p99 counts'),
    min_outcomes: z.int().min(2).default(100).describe('Outcomes of each version before quality counts'),
    watch: durationSchema.default('1h').describe('How long a version is watched after it became live'),
  })
  .describe('Breaches that roll back by themselves');

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
      .describe('People, other than the one who asks, who must agree'),
    fallback: nameSchema.optional().describe('The model that answers when this one cannot'),
    rollback: guardsSchema.optional(),
  })
  .describe('How a version becomes live');

export type RolloutSpec = z.output<typeof rolloutSchema>;
export type RolloutGuards = z.output<typeof guardsSchema>;
