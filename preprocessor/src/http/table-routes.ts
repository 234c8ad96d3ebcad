import { Readable } from 'node:stream';
import type { HttpApp, RouteModule } from '@hotloop/platform/http/http-server.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { TABLE_TYPES } from '../tables/read-rows.ts';
import { declareTable, uploadFile } from '../tables/table-intake.ts';
import { tableName, tableSchema } from '../tables/table-schema.ts';
import type { TableStore } from '../tables/table-store.ts';

const params = z.object({ table: tableName });
const tags = ['reference tables'];
const summary = z.object({
  name: z.string(),
  version: z.int().nullable(),
  rows: z.number(),
  uploaded_at: z.string().nullable(),
  schema: tableSchema,
});
const uploaded = z.object({
  table: z.string(),
  version: z.int(),
  rows: z.int(),
  refused: z.int(),
  refused_rows: z.array(z.object({ line: z.int(), problem: z.string() })),
});

/** Routes to declare, upload and list reference tables. */
export function tableRoutes(store: TableStore): RouteModule {
  return (app: HttpApp) => {
    app.get(
      '/v1/tables',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Reference tables',
          tags,
          response: { 200: z.object({ tables: z.array(summary) }) },
        },
      },
      async () => ({
        tables: (await store.list()).map(({ uploadedAt, ...table }) => ({
          ...table,
          uploaded_at: uploadedAt,
        })),
      }),
    );

    app.put(
      '/v1/tables/:table',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Declares a table, or changes its schema for future uploads',
          ...{ tags, params, body: tableSchema },
          response: { 200: z.object({ table: z.string() }) },
        },
      },
      async ({ params: { table }, body }) => {
        await declareTable(store, table, body);
        return { table };
      },
    );

    app.post(
      '/v1/tables/:table/versions',
      {
        config: { requires: 'operate' },
        schema: {
          summary:
            'Uploads a file (CSV, JSON lines or Parquet), verifies every row, and swaps it in as a new version',
          ...{ tags, params, consumes: [...TABLE_TYPES] },
          querystring: z.object({
            max_refused: z.coerce
              .number()
              .int()
              .min(0)
              .default(0)
              .describe('Maximum number of rejected rows'),
          }),
          response: { 200: uploaded },
        },
      },
      async ({ params: { table }, query, body, headers }) => {
        if (!(body instanceof Readable))
          throw new HotloopError('INVALID_ARGUMENT', `send content-type ${TABLE_TYPES.join(', ')}`);
        const type = headers['content-type'] ?? '';
        const result = await uploadFile(store, { table, type, maxRefused: query.max_refused, file: body });
        const { refusedRows, ...counts } = result;
        return { ...counts, refused_rows: refusedRows.map((row) => ({ ...row })) };
      },
    );
  };
}
