import { permit } from '@hotloop/platform/auth/authorization.ts';
import type { HttpApp, RouteModule } from '@hotloop/platform/http/http-server.ts';
import { z } from 'zod';
import type { Explainer } from '../explain.ts';
import type { TimeoutOptions } from '../server.ts';
import { predictionBody, requestOfBody } from './prediction-body.ts';

const explanation = z.object({
  model: z.string(),
  version: z.int(),
  features: z.array(
    z.object({
      feature: z.string(),
      source: z.string().describe('The feature\u2019s `from` in model.yaml'),
      status: z.string().describe('FRESH, MISSING, STALE, OUT_OF_RANGE, DEGRADED, CLIPPED or DEFAULTED'),
      candidate: z.string(),
      raw: z.array(z.unknown()).describe('Values before the transforms'),
      input: z.string().describe('The ONNX input it feeds; empty: the only one'),
      columns: z.array(
        z.object({
          index: z.int(),
          name: z.string(),
          value: z.union([z.number(), z.string(), z.null()]).describe('null is NaN'),
        }),
      ),
    }),
  ),
  degraded: z.array(z.string()),
  unread: z
    .array(z.string())
    .describe('What the request names and this version does not use, such as request.prise'),
});

/** POST /v1/models/{model}/explain: every column computed from a request, with its source and status. */
export function explainRoutes(explainer: Explainer, timeouts: TimeoutOptions): RouteModule {
  return (app: HttpApp) => {
    app.post(
      '/v1/models/:model/explain',
      {
        config: { requires: 'predict' },
        schema: {
          summary: 'How the features of a request are computed; nothing is predicted or logged',
          tags: ['predictions'],
          params: z.object({ model: z.string().min(1).max(128) }),
          body: predictionBody,
          response: { 200: explanation },
        },
      },
      async ({ params: { model }, body, caller }) => {
        permit(caller, model);
        const call = {
          caller: caller.subject,
          timeoutMs: timeouts.defaultTimeoutMs,
          signal: new AbortController().signal,
        };
        const { features, ...rest } = await explainer.explain(requestOfBody(model, body), call);
        return {
          ...rest,
          degraded: [...rest.degraded],
          unread: [...rest.unread],
          features: features.map((feature) => ({
            ...feature,
            raw: feature.raw.map((value) =>
              typeof value === 'number' && Number.isNaN(value) ? null : value,
            ),
            columns: feature.columns.map((column) => ({ ...column })),
          })),
        };
      },
    );
  };
}
