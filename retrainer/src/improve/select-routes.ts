import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { z } from 'zod';
import { selectFeatures } from './select-features.ts';
import type { FirstVersionDependencies } from './train-first-version.ts';

const number = z.number().nullable();

/** `POST /v1/models/{model}/features/select`: which features matter, and what a version without the others is worth. */
export function selectRoutes(dependencies: FirstVersionDependencies): RouteModule {
  return (app) => {
    app.post(
      '/v1/models/:model/features/select',
      {
        config: { requires: 'operate' },
        schema: {
          summary:
            'Features by permutation importance on held-out labels, and a comparison without the useless ones',
          params: z.object({ model: z.string().max(63) }),
          body: z.strictObject({
            repeats: z.int().min(2).max(50).default(5).describe('Times that each feature is shuffled'),
            retrain: z
              .boolean()
              .default(true)
              .describe('Train with and without the useless ones, to compare'),
          }),
          response: {
            200: z.object({
              ...{ model: z.string(), version: z.int(), dataset: z.string(), metric: z.string() },
              ...{ value: number, rows: z.int(), note: z.string() },
              features: z.array(
                z.object({ feature: z.string(), importance: number, error: number, useless: z.boolean() }),
              ),
              retrained: z
                .object({
                  kept: z.array(z.string()),
                  ...{ with_all: number, without_useless: number, improvement: number },
                  interval: z.object({ low: number, high: number }),
                })
                .nullable(),
            }),
          },
        },
      },
      async ({ params, body }) => {
        const { features, retrained, value, ...rest } = await selectFeatures(
          { model: params.model, ...body },
          dependencies,
        );
        return {
          ...rest,
          value: finite(value),
          features: features.map((one) => ({
            ...one,
            ...{ importance: finite(one.importance), error: finite(one.error) },
          })),
          retrained: retrained && {
            kept: [...retrained.kept],
            with_all: finite(retrained.against),
            without_useless: finite(retrained.candidate),
            improvement: finite(retrained.improvement),
            interval: { low: finite(retrained.interval.low), high: finite(retrained.interval.high) },
          },
        };
      },
    );
  };
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);
