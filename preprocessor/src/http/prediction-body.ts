import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import type { Prediction, PredictionRequest } from '../prediction.ts';

/** Longest list in one attribute. */
const MAX_LIST = 16_384;
const VALUE = 'must be a number, a text, true or false, or a list of numbers or of texts';

/** One attribute of a request, a candidate or an outcome. */
export const attributeSchema = z.union(
  [z.number(), z.string(), z.boolean(), z.array(z.number()).max(MAX_LIST), z.array(z.string()).max(MAX_LIST)],
  {
    error: ({ input }) => {
      if (typeof input === 'number') return 'must be a finite number that a double can represent';
      return Array.isArray(input) && input.length > MAX_LIST ? `has more than ${MAX_LIST} entries` : VALUE;
    },
  },
);
/** JSON null means that the attribute is missing. */
export const attributesSchema = z.record(z.string(), attributeSchema.nullable());
export const textsSchema = z.record(z.string(), z.string());

/** The body of a prediction request; the model is in the path. */
export const predictionBody = z.strictObject({
  version: z
    .union([z.string(), z.int()])
    .optional()
    .describe('A number, or live (default), candidate, previous'),
  prediction_id: z.string().optional().describe('Your own UUIDv7, so that a retry is logged once'),
  entities: textsSchema.optional().describe('The entities whose history is read, such as {"user": "u1"}'),
  request: attributesSchema.optional().describe('The attributes that features named request.NAME read'),
  candidates: z
    .array(z.strictObject({ id: z.string(), attributes: attributesSchema.optional() }))
    .optional()
    .describe('The candidates that a ranking model ranks'),
  timeout_ms: z.int().min(1).max(60_000).optional(),
  want_feature_statuses: z.boolean().optional(),
  traceparent: z.string().max(200).optional(),
});

export type PredictionBody = z.output<typeof predictionBody>;

export const predictionReply = z.object({
  prediction_id: z.string(),
  model: z.string(),
  version: z.int(),
  variant: z.string().describe('live, canary, shadow or pinned'),
  decision: z.looseObject({
    label: z.string(),
    score: z.number(),
    scores: z.array(z.number()),
    ranked: z.array(z.object({ id: z.string(), rank: z.int(), score: z.number(), propensity: z.number() })),
  }),
  feature_statuses: z.array(z.object({ feature: z.string(), status: z.string(), candidate: z.string() })),
  degraded: z.array(z.string()).describe('What was unavailable for the answer, such as history'),
});

export type PredictionReply = z.output<typeof predictionReply>;

/** Throws INVALID_ARGUMENT naming the fields by their paths. */
export function parsePredictionBody(body: unknown): PredictionBody {
  const result = predictionBody.safeParse(body);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
  );
  throw new HotloopError('INVALID_ARGUMENT', problems.slice(0, 10).join('; '), { reason: 'invalid_request' });
}

export function requestOfBody(model: string, body: PredictionBody): PredictionRequest {
  return {
    model,
    version: String(body.version ?? ''),
    predictionId: body.prediction_id ?? '',
    entities: bare(body.entities ?? {}),
    request: bare(body.request ?? {}),
    candidates: (body.candidates ?? []).map(({ id, attributes }) => ({
      id,
      attributes: bare(attributes ?? {}),
    })),
    wantFeatureStatuses: body.want_feature_statuses ?? false,
    traceparent: body.traceparent ?? '',
  };
}

export function replyOfPrediction(prediction: Prediction): PredictionReply {
  const { predictionId, decision, featureStatuses, degraded, ...named } = prediction;
  return {
    prediction_id: predictionId,
    model: named.model,
    version: named.version,
    variant: named.variant,
    decision: {
      ...decision,
      scores: [...decision.scores],
      ranked: decision.ranked.map((entry) => ({ ...entry })),
    },
    feature_statuses: featureStatuses.map((status) => ({ ...status })),
    degraded: [...degraded],
  };
}

/** Without null values, and without a prototype: callers choose the names, and `constructor` must not be found. */
export function bare<Value>(record: Readonly<Record<string, Value | null>>): Record<string, Value> {
  const bared = Object.create(null) as Record<string, Value>;
  for (const [name, value] of Object.entries(record)) if (value !== null) bared[name] = value;
  return bared;
}
