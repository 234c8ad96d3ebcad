import { z } from 'zod';
import { featureSchema } from '../features/feature-schema.ts';
import { decisionSchema } from './decision-schema.ts';
import { goldenSchema } from './golden-schema.ts';
import { kafkaSchema } from './kafka-schema.ts';
import { logSchema } from './log-schema.ts';
import { monitorSchema } from './monitor-schema.ts';
import { outcomeSchema } from './outcome-schema.ts';
import { pipelineSchema } from './pipeline-schema.ts';
import { rolloutSchema } from './rollout-schema.ts';
import { runtimeSchema } from './runtime-schema.ts';
import { nameSchema } from './schema-parts.ts';
import { trainingSchema } from './training-schema.ts';

export const TASKS = ['binary', 'multiclass', 'multilabel', 'regression', 'ranking', 'tensor'] as const;
export type Task = (typeof TASKS)[number];

/** model.yaml. Everything except name and features has a default. */
export const manifestSchema = z
  .strictObject({
    name: nameSchema,
    task: z.enum(TASKS).default('binary'),
    description: z.string().max(2000).optional(),
    features: z.array(featureSchema).max(4096).default([]),
    input: z.string().optional().describe('The ONNX input fed with the features; the only one when absent'),
    output: z.string().optional().describe('The ONNX output with the score; the first when absent'),
    decision: decisionSchema.default({ threshold: 0.5 }),
    kafka: kafkaSchema.optional(),
    pipeline: pipelineSchema.optional().describe('Models that run first; features read their answers'),
    outcome: outcomeSchema.default({ from: 'sdk', window: '7d' }),
    training: trainingSchema.optional(),
    golden: goldenSchema.optional(),
    rollout: rolloutSchema.prefault({}),
    runtime: runtimeSchema.prefault({}),
    log: logSchema.prefault({}),
    monitor: monitorSchema.prefault({}),
  })
  .superRefine((manifest, context) => {
    if (manifest.task === 'tensor' && manifest.features.length > 0)
      context.addIssue({ code: 'custom', path: ['features'], message: 'task tensor takes no features' });
    if (manifest.task !== 'tensor' && manifest.features.length === 0)
      context.addIssue({
        code: 'custom',
        path: ['features'],
        message: `task ${manifest.task} needs at least one feature`,
      });
    const seen = new Set<string>();
    for (const [index, feature] of manifest.features.entries()) {
      if (seen.has(feature.name))
        context.addIssue({
          code: 'custom',
          path: ['features', index, 'name'],
          message: `${feature.name} is declared twice`,
        });
      seen.add(feature.name);
    }
    if (manifest.outcome.positive !== undefined && manifest.outcome.label !== undefined)
      context.addIssue({ code: 'custom', path: ['outcome'], message: 'give positive or label, not both' });
    const { task, decision } = manifest;
    if ((task === 'multiclass' || task === 'multilabel') && decision.labels === undefined)
      context.addIssue({
        code: 'custom',
        path: ['decision', 'labels'],
        message: `task ${task} needs labels`,
      });
  });

export type Manifest = z.output<typeof manifestSchema>;
export type OutcomeSpec = Manifest['outcome'];
export type TrainingSpec = NonNullable<Manifest['training']>;
