import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { featureSchema } from './manifest-feature.ts';
import { goldenSchema } from './manifest-golden.ts';

/** Names of models and features: also used as label values, so short and plain. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export const nameSchema = z
  .string()
  .regex(NAME_PATTERN, 'must be lower-case letters, digits, - or _, at most 63');

const expression = z.string().min(1).max(2000).describe('A CEL expression');
const fraction = z.number().min(0).max(1);

export const TASKS = ['binary', 'multiclass', 'regression', 'ranking', 'tensor'] as const;
export type Task = (typeof TASKS)[number];

export const decisionSchema = z
  .strictObject({
    threshold: fraction.default(0.5).describe('binary: at or above it the positive label is chosen'),
    labels: z
      .array(z.string().min(1))
      .min(2)
      .optional()
      .describe('binary: [negative, positive]; multiclass: one per class'),
    combine: expression.optional().describe('Final score from score, request, item and entities'),
    rank: z
      .strictObject({
        top_k: z.int().min(1).max(10_000).default(10),
        exclude: z.string().optional().describe('A history path whose values are not shown again'),
      })
      .optional(),
    explore: z
      .strictObject({ epsilon: fraction.default(0) })
      .optional()
      .describe('Share of decisions whose order is drawn at random, with known propensity'),
  })
  .describe('From raw output to decision');

export const outcomeSchema = z
  .strictObject({
    from: z
      .string()
      .regex(/^(kafka:[A-Za-z0-9._-]{1,249}|sdk)$/, 'must be sdk or kafka:TOPIC')
      .default('sdk'),
    join: z.array(z.string().min(1)).min(1).optional().describe('Keys that match an outcome to predictions'),
    positive: expression.optional().describe('Judges an event: true is label 1, false is no label'),
    label: expression.optional().describe('The label of an event, instead of positive'),
    window: durationSchema.default('7d').describe('How long after the prediction an outcome counts'),
    otherwise: z
      .union([z.number(), z.string()])
      .optional()
      .describe('Label of a prediction unanswered when its window ends'),
  })
  .describe('Where the truth comes from');

export const LOSSES = ['binary_cross_entropy', 'cross_entropy', 'mean_squared_error'] as const;
export const METRICS = ['auc', 'log_loss', 'accuracy', 'rmse', 'ndcg'] as const;

export const trainingSchema = z
  .strictObject({
    loss: z.enum(LOSSES).optional().describe('Default: by task'),
    optimizer: z
      .union([
        z.strictObject({
          adam: z.strictObject({
            learning_rate: z.number().positive().default(1e-3),
            beta1: z.number().min(0).lt(1).default(0.9),
            beta2: z.number().min(0).lt(1).default(0.999),
            epsilon: z.number().positive().default(1e-8),
            weight_decay: z.number().min(0).default(0),
          }),
        }),
        z.strictObject({ sgd: z.strictObject({ learning_rate: z.number().positive().default(1e-2) }) }),
      ])
      .default({ adam: { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0 } }),
    trainable: z.union([z.literal('all'), z.array(z.string().min(1)).min(1)]).default('all'),
    epochs: z.int().min(1).max(10_000).default(3),
    batch: z.int().min(1).max(65_536).default(256),
    seed: z.int().min(0).default(1),
    holdout: z
      .number()
      .gt(0)
      .lt(0.9)
      .default(0.2)
      .describe('Share of the newest labelled predictions kept for the gate'),
    network: z
      .strictObject({
        hidden: z
          .array(z.int().min(1).max(16_384))
          .max(16)
          .default([32, 16])
          .describe('Sizes of the hidden layers'),
        activation: z.enum(['relu', 'tanh', 'sigmoid']).default('relu'),
      })
      .optional()
      .describe('The untrained network to begin with when model.yaml is pushed without a model.onnx'),
    patience: z
      .int()
      .min(1)
      .optional()
      .describe('Epochs without a better validation loss before training stops'),
    trigger: z
      .strictObject({ labels: z.int().min(1).optional(), every: durationSchema.optional() })
      .optional()
      .describe('When a run starts by itself'),
    gate: z
      .strictObject({
        metric: z.enum(METRICS).optional().describe('Default: by task'),
        at_least: z.number().default(0).describe('Smallest improvement over the live version'),
        min_examples: z.int().min(1).default(100),
      })
      .default({ at_least: 0, min_examples: 100 }),
  })
  .describe('How the next version is learnt');

export const rolloutSchema = z
  .strictObject({
    mode: z.enum(['at_once']).default('at_once'),
    promote: z.enum(['automatic', 'manual']).default('automatic'),
  })
  .describe('How a version becomes live');

export const runtimeSchema = z
  .strictObject({
    execution_providers: z
      .array(z.enum(['cpu', 'cuda', 'tensorrt', 'webgpu']))
      .min(1)
      .optional()
      .describe("Tried in this order; default: the node's"),
    instances: z.int().min(1).max(64).default(1),
    threads: z.int().min(1).max(256).default(1),
    max_batch: z.int().min(1).max(65_536).default(256),
    queue: z.int().min(1).max(1_000_000).default(4096).describe('Rows that may wait; more are refused'),
    memory_limit_mb: z.int().min(64).optional(),
    allow_nonfinite: z.boolean().default(false),
  })
  .describe('How a node runs it');

export const logSchema = z
  .strictObject({
    durability: z.enum(['process', 'disk']).default('process'),
    sample: fraction.default(1).describe('Share of predictions whose tensors are kept'),
    redact: z
      .array(z.string().min(1))
      .default([])
      .describe(
        "Features, entities, inputs or outputs kept out of the log, by name. An input's name hides the whole input, with all features in it",
      ),
    retention: durationSchema.default('90d'),
  })
  .describe('What the prediction log keeps');

/** model.yaml. Everything but name and features has a sound default. */
export const manifestSchema = z
  .strictObject({
    name: nameSchema,
    task: z.enum(TASKS).default('binary'),
    description: z.string().max(2000).optional(),
    features: z.array(featureSchema).max(4096).default([]),
    input: z.string().optional().describe('The ONNX input fed with the features; the only one when absent'),
    output: z.string().optional().describe('The ONNX output that holds the score; the first when absent'),
    decision: decisionSchema.default({ threshold: 0.5 }),
    outcome: outcomeSchema.default({ from: 'sdk', window: '7d' }),
    training: trainingSchema.optional(),
    golden: goldenSchema.optional(),
    rollout: rolloutSchema.default({ mode: 'at_once', promote: 'automatic' }),
    runtime: runtimeSchema.prefault({}),
    log: logSchema.prefault({}),
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
          message: `${feature.name} stands twice`,
        });
      seen.add(feature.name);
    }
    if (manifest.outcome.positive !== undefined && manifest.outcome.label !== undefined)
      context.addIssue({ code: 'custom', path: ['outcome'], message: 'give positive or label, not both' });
    if (manifest.task === 'multiclass' && manifest.decision.labels === undefined)
      context.addIssue({
        code: 'custom',
        path: ['decision', 'labels'],
        message: 'task multiclass needs labels',
      });
  });

export type Manifest = z.output<typeof manifestSchema>;
export type OutcomeSpec = Manifest['outcome'];
export type TrainingSpec = NonNullable<Manifest['training']>;
export type Loss = (typeof LOSSES)[number];
export type Metric = (typeof METRICS)[number];
