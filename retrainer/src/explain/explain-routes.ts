import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { z } from 'zod';
import { type ExplainDependencies, explainPrediction } from './explain-prediction.ts';
import { readExplainedRow } from './read-explained-row.ts';

const explanationSchema = z.object({
  predictionId: z.string(),
  model: z.string(),
  version: z.int(),
  row: z.int(),
  candidate: z.string().nullable(),
  method: z.enum(['integrated_gradients', 'permutation']),
  score: z.number().describe('Raw output of the model, before the decision calibrates it'),
  logged: z.number().nullable().describe('The same as it was logged'),
  reference: z.number().describe('The score that attributions count from'),
  referenceIs: z.string(),
  sum: z.number().describe('What the attributions add up to'),
  gap: z.number().describe('sum - (score - reference)'),
  class: z.string().nullable(),
  features: z.array(
    z.object({
      name: z.string(),
      from: z.string(),
      status: z.string(),
      values: z.array(z.number()),
      category: z.string().nullable(),
      attribution: z.number(),
    }),
  ),
});

/** `GET /v1/predictions/{id}/explanation`. */
export function explainRoutes(dependencies: ExplainDependencies & { readonly pool: Pool }): RouteModule {
  return (app) => {
    app.get(
      '/v1/predictions/:id/explanation',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Which features moved a logged prediction, and by how much; worked out off the hot path',
          params: z.object({ id: z.string() }),
          querystring: z.object({
            row: z.coerce.number().int().min(0).default(0).describe('Which candidate, counted from 0'),
          }),
          response: { 200: explanationSchema },
        },
      },
      async ({ params, query }) => {
        const logged = await readExplainedRow(dependencies.pool, params.id);
        const explained = await explainPrediction(logged, query.row, dependencies);
        return {
          ...{ predictionId: params.id.toLowerCase(), model: logged.model, version: logged.version },
          ...{ row: query.row, candidate: logged.candidates[query.row] ?? null },
          ...explained,
          features: explained.features.map((feature) => ({ ...feature, values: [...feature.values] })),
        };
      },
    );
  };
}
