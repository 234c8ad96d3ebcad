import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { z } from 'zod';
import { findVersionManifest } from '../../registry/find-manifest.ts';
import { exportPredictions, MOST_EXPORTED } from './export-predictions.ts';
import { csvOfPredictions, writePredictions } from './prediction-files.ts';

const number = z.coerce.number().optional();
const time = z.iso.datetime({ offset: true }).optional();

/** `GET /v1/models/{model}/predictions/file`: predictions for analysts to look at. */
export function predictionRoutes(dependencies: {
  readonly pool: Pool;
  readonly bundles: BundleStore;
}): RouteModule {
  return (app) => {
    app.get(
      '/v1/models/:model/predictions/file',
      {
        config: { requires: 'operate' },
        schema: {
          summary:
            'Predictions to look at, as CSV or Parquet: by time, version, score, low confidence, suspected label errors',
          params: z.object({ model: z.string() }),
          querystring: z.object({
            format: z.enum(['csv', 'parquet']).default('csv'),
            from: time.describe('RFC 3339; default a week ago'),
            to: time,
            version: z.coerce.number().int().positive().optional(),
            min_score: number,
            max_score: number,
            margin: number.describe('The two most probable classes are no farther apart than this'),
            suspected: z.stringbool().default(false).describe('Only labels that are probably wrong'),
            disagreement: number.describe('A shadow version answered otherwise, by at least this'),
            drifted: z
              .string()
              .max(200)
              .optional()
              .describe('This feature has a value that was rare in training'),
            limit: z.coerce.number().int().min(1).max(MOST_EXPORTED).default(10_000),
          }),
        },
      },
      async ({ params, query }, reply) => {
        const manifest = await findVersionManifest(dependencies, params.model);
        const now = Date.now();
        const rows = await exportPredictions(dependencies.pool, manifest, {
          fromMs: query.from === undefined ? now - 7 * DAY_MS : Date.parse(query.from),
          toMs: query.to === undefined ? now + DAY_MS : Date.parse(query.to),
          version: query.version ?? null,
          minScore: query.min_score ?? null,
          maxScore: query.max_score ?? null,
          margin: query.margin ?? null,
          suspected: query.suspected,
          disagreement: query.disagreement ?? null,
          drifted: query.drifted ?? null,
          limit: query.limit,
        });
        if (query.format === 'csv') return reply.type('text/csv; charset=utf-8').send(csvOfPredictions(rows));
        const folder = await mkdtemp(join(tmpdir(), 'hotloop-predictions-'));
        const path = join(folder, 'predictions.parquet');
        await writePredictions(rows, path);
        const stream = createReadStream(path);
        stream.once('close', () => void rm(folder, { recursive: true, force: true }));
        return reply.type('application/vnd.apache.parquet').send(stream);
      },
    );
  };
}
