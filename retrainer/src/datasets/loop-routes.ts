import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { z } from 'zod';
import type { LoopReader } from './loop-state.ts';

const loopSchema = z.object({
  model: z.string(),
  liveVersion: z.int(),
  predictionsLogged: z.int().describe('Predictions ever logged'),
  outcomes: z.int(),
  outcomesUnmatched: z.int().describe('Outcomes that match no prediction so far'),
  deadLetters: z.int().describe('Messages of the outcome topic that could not be read'),
  latestRun: z
    .object({ runId: z.string(), state: z.string(), message: z.string(), examples: z.int() })
    .nullable(),
  sqlSource: z
    .object({
      outcomes: z.int(),
      refused: z.int().describe('Rows of the latest reading that could not be used'),
      problems: z.array(z.string()).readonly(),
      error: z.string().describe('Why the latest reading failed; empty when it did not'),
      readAt: z.number().nullable(),
      watermark: z.string().nullable(),
    })
    .nullable()
    .describe('Where outcome.from.sql stands'),
});

/** `GET /v1/models/{model}/loop`: where the model's loop stands. */
export function loopRoutes(loop: LoopReader): RouteModule {
  return (app) => {
    app.get(
      '/v1/models/:model/loop',
      {
        config: { requires: 'operate' },
        schema: {
          summary:
            "Where a model's loop stands: logged, unmatched and dead-letter counts, and the latest run",
          params: z.object({ model: z.string() }),
          response: { 200: loopSchema },
        },
      },
      async ({ params }) => {
        const { messagesSetAside, latestRun, ...state } = await loop.read(params.model);
        return {
          ...state,
          deadLetters: messagesSetAside,
          latestRun: latestRun && {
            runId: latestRun.runId,
            state: latestRun.state,
            message: latestRun.message,
            examples: latestRun.examples,
          },
        };
      },
    );
  };
}
