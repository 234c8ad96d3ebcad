import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { readModelState } from '../rollouts/promotion-store.ts';
import { type LedgerRow, modelHistory, verifyLedger } from './ledger.ts';
import { whichVersion } from './which-version.ts';

const rowSchema = z.object({
  sequence: z.int(),
  at: z.string(),
  actor: z.string(),
  action: z.string(),
  model: z.string(),
  version: z.int().nullable(),
  detail: z.record(z.string(), z.unknown()),
  hash: z.string(),
});

const operate = { requires: 'operate' } as const;
const named = z.object({ model: z.string() });
const MOST_ROWS = 1_000;

/** The ledger over HTTP: a model's rows, which version was live when, and whether the chain is sound. */
export function ledgerRoutes(pool: Pool): RouteModule {
  return (app) => {
    app.get(
      '/v1/models/:model/ledger',
      {
        config: operate,
        schema: {
          summary: "A model's rows of the ledger, newest first",
          params: named,
          querystring: z.object({ limit: z.coerce.number().int().min(1).max(MOST_ROWS).default(50) }),
          response: { 200: z.object({ rows: z.array(rowSchema) }) },
        },
      },
      async ({ params, query }) => {
        const rows = await modelHistory(pool, params.model, query.limit);
        if (rows.length === 0) await readModelState(pool, params.model);
        return { rows: rows.map(rowView) };
      },
    );
    app.get(
      '/v1/models/:model/which',
      {
        config: operate,
        schema: {
          summary: 'Which version was live at a moment, since when, and by whom',
          params: named,
          querystring: z.object({ at: z.string().optional().describe('RFC 3339; now when absent') }),
          response: {
            200: z.object({
              model: z.string(),
              at: z.string(),
              version: z.int().nullable(),
              since: rowSchema.nullable(),
            }),
          },
        },
      },
      async ({ params, query }) => {
        const at = query.at === undefined ? Date.now() : timeOf(query.at);
        const since = await whichVersion(pool, params.model, at);
        // A deleted model keeps its history; a name that was never registered is a mistake.
        if (since === null && (await modelHistory(pool, params.model, 1)).length === 0)
          await readModelState(pool, params.model);
        return {
          model: params.model,
          at: new Date(at).toISOString(),
          version: since?.version ?? null,
          since: since && rowView(since),
        };
      },
    );
    app.get(
      '/v1/ledger/verify',
      {
        config: operate,
        schema: {
          summary: 'Read the whole ledger and check its chain of hashes',
          response: {
            200: z.object({
              rows: z.int(),
              sound: z.boolean(),
              broken: z.object({ sequence: z.int(), problem: z.string() }).nullable(),
              head: z
                .string()
                .describe('Hash of the last row: kept elsewhere, it shows whether rows were cut off'),
            }),
          },
        },
      },
      async () => {
        const verdict = await verifyLedger(pool);
        return { ...verdict, sound: verdict.broken === null };
      },
    );
  };
}

function rowView({ previousHash: _, at, detail, ...row }: LedgerRow): z.input<typeof rowSchema> {
  return { ...row, at: new Date(at).toISOString(), detail: { ...detail } };
}

function timeOf(text: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw new HotloopError(
      'INVALID_ARGUMENT',
      `at: ${JSON.stringify(text.slice(0, 40))} is no time; write 2026-05-01T12:00:00Z`,
    );
  return at;
}
