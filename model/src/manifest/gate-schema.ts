import { z } from 'zod';

export const METRICS = ['auc', 'log_loss', 'accuracy', 'rmse', 'ndcg'] as const;
export type Metric = (typeof METRICS)[number];

/** The requirements that a candidate must meet before it becomes a version. */
export const gateSchema = z
  .strictObject({
    metric: z.enum(METRICS).optional().describe('Default: by task'),
    at_least: z.number().default(0).describe('Smallest improvement over the live version'),
    confidence: z
      .number()
      .min(0.5)
      .lt(1)
      .optional()
      .describe(
        'How certain the improvement must be, such as 0.95. Without it the measured improvement decides',
      ),
    min_examples: z.int().min(1).default(100).describe('Minimum number of held-out rows for a decision'),
    slices: z
      .array(z.string().min(1))
      .max(50)
      .default([])
      .describe(
        'Features whose values divide the held-out rows into slices; no slice may get worse by more than slice_drop',
      ),
    slice_drop: z.number().min(0).default(0.02).describe('Largest loss of the metric in one slice'),
    slice_examples: z.int().min(1).default(30).describe('A slice with fewer held-out rows is only reported'),
    corrections: z
      .number()
      .min(0)
      .max(1)
      .default(1)
      .describe('Share of the accepted corrections that the candidate must get right'),
    frozen_drop: z
      .number()
      .min(0)
      .default(0.005)
      .describe('Largest loss of the metric on the frozen holdout, where training.data.frozen keeps one'),
    suspected: z
      .number()
      .gt(0)
      .max(1)
      .default(0.05)
      .describe(
        'Largest excess of labels that look wrong among those learnt from over those of the frozen holdout',
      ),
    calibration: z.number().gt(0).max(1).optional().describe('Largest expected calibration error'),
    drift: z
      .number()
      .gt(0)
      .optional()
      .describe('Largest population stability index of its scores against the live version'),
    megabytes: z.number().gt(0).optional().describe('Largest model file'),
    latency: z
      .number()
      .gt(0)
      .optional()
      .describe('Largest time to score a batch, as a multiple of what the live version takes'),
  })
  .describe('The requirements that a candidate must meet before it becomes a version');

export type GateSpec = z.output<typeof gateSchema>;
export const GATE_DEFAULTS: GateSpec = gateSchema.parse({});
