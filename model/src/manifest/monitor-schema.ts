import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { fractionSchema } from './schema-parts.ts';

/** The signals that a rule can refer to. */
export const SIGNAL_KINDS = [
  'drift',
  'domain_drift',
  'prediction_drift',
  'label_drift',
  'concept_drift',
  'missing',
  'out_of_range',
  'new_category',
  'constant',
  'duplicates',
  'schema',
  'stale',
  'late_events',
  'join',
  'silence',
  'traffic',
  'errors',
  'decay',
  'estimated_decay',
] as const;
export type SignalKind = (typeof SIGNAL_KINDS)[number];

const severitySchema = z.enum(['info', 'warning', 'critical']);

/** Where incidents are sent: an address, or an address with the format of its body. */
const receiverSchema = z.union([
  z.string().min(1).max(2000),
  z.strictObject({
    webhook: z.string().min(1).max(2000).describe('https, or http on loopback'),
    format: z.enum(['alertmanager', 'slack']).default('alertmanager'),
    secret_env: z
      .string()
      .regex(
        /^(?!HOTLOOP_)[A-Z][A-Z0-9_]{0,56}_SECRET$/,
        "must name a variable such as ALERTS_SECRET that contains the webhook's secret; Hotloop's own are not allowed",
      )
      .optional()
      .describe(
        'The environment variable of the retrainer with the secret that signs messages (Standard Webhooks)',
      ),
  }),
  z.strictObject({ email: z.string().min(3).max(320) }),
]);

const ruleSchema = z
  .strictObject({
    signal: z.enum(SIGNAL_KINDS),
    feature: z.string().min(1).max(63).optional().describe('All features when absent'),
    off: z.boolean().default(false).describe('Never raise an alarm for this'),
    at_least: z.number().min(0).optional().describe('The smallest effect that raises an alarm'),
    severity: severitySchema.optional(),
  })
  .describe('An override of the defaults for one signal, and one feature if named');

export const monitorSchema = z
  .strictObject({
    enabled: z.boolean().default(true),
    drift: z
      .strictObject({
        features: z.enum(['psi', 'jensen_shannon', 'wasserstein']).default('psi'),
        at_least: z
          .number()
          .positive()
          .optional()
          .describe('Default: psi 0.1, jensen_shannon 0.1, wasserstein 0.2 training deviations'),
        window: durationSchema.default('1d').describe('Rows compared with the baseline'),
        min_rows: z.int().min(10).default(200).describe('Fewer rows are not evaluated'),
        false_alarms: fractionSchema
          .default(0.0005)
          .describe('False discovery rate over the features of one evaluation'),
      })
      .prefault({}),
    silence: z
      .strictObject({
        after: durationSchema
          .default('60s')
          .describe('No call for so long, where calls are expected, alarms'),
        probability: fractionSchema.default(1e-6).describe('Alarm where the rate is less likely than this'),
      })
      .prefault({}),
    missing: z.strictObject({ tolerance: fractionSchema.default(0.02) }).prefault({}),
    decay: z
      .strictObject({
        at_least: z
          .number()
          .positive()
          .default(0.02)
          .describe("Loss in the gate's metric that raises an alarm"),
        metric: z
          .enum(['accuracy', 'macro_f1', 'log_loss'])
          .optional()
          .describe(
            "What is followed of several classes; default: the gate's metric if declared, else accuracy",
          ),
        retrain: z.boolean().default(false).describe('Start a training run'),
        pause_rollout: z.boolean().default(true),
      })
      .prefault({}),
    slices: z
      .array(z.string().min(1))
      .max(5)
      .optional()
      .describe("Features whose values divide the monitored rows into slices; default: the gate's slices"),
    rules: z.array(ruleSchema).max(200).default([]),
    notify: z.array(receiverSchema).max(10).default([]),
    escalate: z
      .strictObject({ after: durationSchema.default('1h'), to: z.array(receiverSchema).min(1).max(10) })
      .optional()
      .describe('Where an incident is sent if it is not acknowledged in time'),
  })
  .describe('What is watched, when it alarms, and where alarms go');

export type MonitorSpec = z.output<typeof monitorSchema>;
export type MonitorRule = z.output<typeof ruleSchema>;
export type Receiver = z.output<typeof receiverSchema>;
