import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { expressionSchema } from './schema-parts.ts';

const sqlSchema = z
  .strictObject({
    url_env: z
      .string()
      .regex(
        /^(?!HOTLOOP_|DATABASE_URL$|REDIS_)[A-Z][A-Z0-9_]{0,58}_URL$/,
        "must name a variable such as BOOKINGS_URL that contains the database's address; Hotloop's own are not allowed",
      )
      .describe('The environment variable of the retrainer with the address; never the address itself'),
    query: z.string().min(1).max(20_000).describe('SELECT of rows with outcomes'),
    watermark: z.string().min(1).describe('Column that grows: a time or a whole number'),
    id: z.string().min(1).default('id').describe('Column that identifies a row'),
    every: durationSchema.default('5m'),
  })
  .describe('Reads outcomes from any Postgres on a schedule');

export type SqlOutcomes = z.output<typeof sqlSchema>;

export const outcomeSchema = z
  .strictObject({
    from: z
      .union([
        z.string().regex(/^(kafka:[A-Za-z0-9._-]{1,249}|sdk)$/, 'must be sdk or kafka:TOPIC'),
        z.strictObject({ sql: sqlSchema }),
      ])
      .default('sdk'),
    join: z.array(z.string().min(1)).min(1).optional().describe('Keys that match an outcome to predictions'),
    positive: expressionSchema.optional().describe('Applied to an event: true is label 1, false is no label'),
    label: expressionSchema.optional().describe('The label of an event, instead of positive'),
    window: durationSchema.default('7d').describe('How long after the prediction an outcome counts'),
    otherwise: z
      .union([z.number(), z.string()])
      .optional()
      .describe('Label of a prediction without an outcome when its window ends'),
    corrections: z
      .strictObject({
        approvals: z
          .union([z.literal(0), z.literal(1)])
          .default(0)
          .describe('1: an upload counts only after approval by another key than the one that sent it'),
      })
      .optional(),
  })
  .describe('Where the labels come from');
