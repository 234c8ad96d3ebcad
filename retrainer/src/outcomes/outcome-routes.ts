import { permitModel } from '@hotloop/platform/auth/authorization.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { z } from 'zod';
import { MAX_OUTCOMES_PER_CALL, type OutcomeDependencies, recordOutcomes } from './record-outcomes.ts';

const attributeSchema = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.array(z.string()),
  z.array(z.number()),
]);

const outcomeSchema = z.strictObject({
  id: z.string().describe('Makes repeated reports count once'),
  model: z.string(),
  predictionId: z.string().default(''),
  keys: z.record(z.string(), z.string()).default({}).describe("Values of the manifest's outcome.join"),
  value: attributeSchema.nullable().default(null).describe('The label; left out where an expression judges'),
  attributes: z.record(z.string(), attributeSchema).default({}),
  occurredAt: z.string().default('').describe('RFC 3339 with offset; the time of arrival when left out'),
  kind: z.enum(['label', 'retract']).default('label'),
});

const verdictSchema = z.object({
  id: z.string(),
  status: z.enum(['accepted', 'duplicate', 'refused']),
  error: z.object({ code: z.string(), message: z.string(), reason: z.string() }).nullable(),
});

/** `POST /v1/outcomes`: the same as the SDK's recordOutcomes. A refused outcome does not refuse the others. */
export function outcomeRoutes(dependencies: OutcomeDependencies): RouteModule {
  return (app) => {
    app.post(
      '/v1/outcomes',
      {
        config: { requires: 'feedback' },
        schema: {
          summary: 'Report what happened after predictions',
          body: z.strictObject({ outcomes: z.array(outcomeSchema).max(MAX_OUTCOMES_PER_CALL) }),
          response: {
            200: z.object({ accepted: z.int(), duplicates: z.int(), results: z.array(verdictSchema) }),
          },
        },
      },
      async ({ body, caller }) => {
        for (const { model } of body.outcomes) permitModel(caller, model);
        const requests = body.outcomes.map(({ model, ...report }) => ({
          model,
          report: { ...report, source: 'sdk' },
        }));
        const verdicts = await recordOutcomes(requests, dependencies);
        return {
          accepted: verdicts.filter(({ status }) => status === 'accepted').length,
          duplicates: verdicts.filter(({ status }) => status === 'duplicate').length,
          results: verdicts.map(({ id, status, error }) => ({
            id,
            status,
            error: error && { code: error.code, message: error.message, reason: error.reason },
          })),
        };
      },
    );
  };
}
