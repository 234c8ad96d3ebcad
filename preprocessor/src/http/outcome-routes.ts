import { randomUUID } from 'node:crypto';
import { permitModel } from '@hotloop/platform/auth/authorization.ts';
import type { HttpApp, RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { FeedbackPort } from '@hotloop/platform/ports/feedback.ts';
import { z } from 'zod';
import { attributeSchema, attributesSchema, bare, textsSchema } from './prediction-body.ts';

const MAX_OUTCOMES = 10_000;
const TIMEOUT_MS = 10_000;

const outcomeBody = z.strictObject({
  id: z.string().optional().describe('Sending the same id again has no effect; generated when absent'),
  model: z.string().min(1),
  prediction_id: z.string().optional(),
  keys: textsSchema.optional().describe('Instead of prediction_id: the keys declared in outcome.join'),
  value: attributeSchema.optional(),
  attributes: attributesSchema.optional(),
  occurred_at: z.string().optional().describe('RFC 3339; the time of arrival when absent'),
  kind: z.enum(['label', 'retract']).optional(),
});

const outcomesReply = z.object({
  accepted: z.int(),
  duplicates: z.int(),
  refused: z.int(),
  results: z.array(
    z.object({
      id: z.string(),
      status: z.enum(['accepted', 'duplicate', 'refused']),
      code: z.string().optional(),
      detail: z.string().optional(),
    }),
  ),
});

/** POST /v1/outcomes: forwards outcomes to the retrainer. A rejected outcome does not stop the others. */
export function outcomeRoutes(feedback: FeedbackPort): RouteModule {
  return (app: HttpApp) => {
    app.post(
      '/v1/outcomes',
      {
        config: { requires: 'feedback' },
        schema: {
          summary: 'Outcomes of predictions',
          tags: ['outcomes'],
          body: z.strictObject({ outcomes: z.array(outcomeBody).min(1).max(MAX_OUTCOMES) }),
          response: { 200: outcomesReply },
        },
      },
      async ({ body, caller }) => {
        for (const { model } of body.outcomes) permitModel(caller, model);
        const items = body.outcomes.map((outcome) => ({
          id: outcome.id ?? randomUUID(),
          model: outcome.model,
          predictionId: outcome.prediction_id ?? '',
          keys: bare(outcome.keys ?? {}),
          value: outcome.value ?? null,
          attributes: bare(outcome.attributes ?? {}),
          occurredAt: outcome.occurred_at ?? '',
          kind: outcome.kind ?? 'label',
        }));
        const verdicts = await feedback.recordOutcomes(items, TIMEOUT_MS);
        const count = (status: string) => verdicts.filter((verdict) => verdict.status === status).length;
        return {
          accepted: count('accepted'),
          duplicates: count('duplicate'),
          refused: count('refused'),
          results: verdicts.map(({ id, status, error }) => ({
            id,
            status,
            ...(error ? { code: error.code, detail: error.message } : {}),
          })),
        };
      },
    );
  };
}
