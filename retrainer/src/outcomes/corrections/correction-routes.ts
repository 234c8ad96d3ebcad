import type { Readable } from 'node:stream';
import { systemClock } from '@hotloop/platform/clock.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { z } from 'zod';
import { MOST_UPLOAD_BYTES, receiveTable } from '../../datasets/uploads.ts';
import { findVersionManifest } from '../../registry/find-manifest.ts';
import {
  approveUpload,
  findUpload,
  listUploads,
  previewUpload,
  waiveCases,
  withdrawUpload,
} from './correction-store.ts';
import { correctionRows, stageCorrections } from './stage-corrections.ts';

export interface CorrectionDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
}

const ANYONE = 'anonymous';
const operate = { requires: 'operate' } as const;
const feedback = { requires: 'feedback' } as const;

/** `/v1/corrections` and `/v1/models/{model}/corrections`: upload, read, approve, withdraw, correct one prediction. */
export function correctionRoutes(dependencies: CorrectionDependencies): RouteModule {
  const { pool } = dependencies;
  const needsAnother = async (model: string) =>
    (await findVersionManifest(dependencies, model)).outcome.corrections?.approvals === 1;
  const byId = z.object({ uploadId: z.string() });
  return (app) => {
    app.post(
      '/v1/models/:model/corrections/file',
      {
        config: feedback,
        bodyLimit: MOST_UPLOAD_BYTES + 1,
        schema: {
          summary:
            'Stage a file of corrections (CSV, JSONL or Parquet: label, and prediction_id or the features; item, note)',
          params: z.object({ model: z.string() }),
          querystring: z.object({ note: z.string().max(500).default('') }),
        },
      },
      async ({ params, query, body, caller }) => {
        await using file = await receiveTable(body as Readable);
        const manifest = await findVersionManifest(dependencies, params.model);
        const source = { by: caller.subject || ANYONE, fileSha256: file.sha256, note: query.note };
        return await stageCorrections(correctionRows(file.path, manifest), manifest, source, pool);
      },
    );
    app.post(
      '/v1/models/:model/corrections',
      {
        config: feedback,
        schema: {
          summary: 'Correct one prediction; it counts at once unless the manifest asks for a second key',
          params: z.object({ model: z.string() }),
          body: z.strictObject({
            predictionId: z.string(),
            label: z.union([z.string(), z.number(), z.boolean()]),
            item: z.string().nullable().default(null),
            note: z.string().max(500).default(''),
          }),
        },
      },
      async ({ params, body, caller }) => {
        const manifest = await findVersionManifest(dependencies, params.model);
        const by = caller.subject || ANYONE;
        const cells = {
          prediction_id: body.predictionId,
          label: body.label,
          item: body.item,
          note: body.note,
        };
        const rows = async function* () {
          yield { line: 1, cells };
        };
        const upload = await stageCorrections(
          rows(),
          manifest,
          { by, fileSha256: '', note: body.note },
          pool,
        );
        if (upload.accepted === 0 || (await needsAnother(params.model))) return upload;
        return approveUpload(pool, upload.uploadId, by, false);
      },
    );
    app.get(
      '/v1/corrections',
      {
        config: operate,
        schema: {
          summary: 'Uploads of corrections',
          querystring: z.object({ model: z.string().optional() }),
        },
      },
      async ({ query }) => ({ uploads: await listUploads(pool, query.model ?? null) }),
    );
    app.get(
      '/v1/corrections/:uploadId',
      { config: operate, schema: { summary: 'One upload and its report', params: byId } },
      async ({ params }) => findUpload(pool, params.uploadId),
    );
    app.get(
      '/v1/corrections/:uploadId/preview',
      { config: operate, schema: { summary: 'What approving an upload would change', params: byId } },
      async ({ params }) => previewUpload(pool, params.uploadId),
    );
    app.post(
      '/v1/corrections/:uploadId/approve',
      { config: operate, schema: { summary: 'Let an upload count', params: byId } },
      async ({ params, caller }) => {
        const { model } = await findUpload(pool, params.uploadId);
        return approveUpload(pool, params.uploadId, caller.subject || ANYONE, await needsAnother(model));
      },
    );
    app.post(
      '/v1/corrections/:uploadId/withdraw',
      { config: operate, schema: { summary: 'Take an upload back, with its labels', params: byId } },
      async ({ params }) => withdrawUpload(pool, params.uploadId),
    );
    app.post(
      '/v1/corrections/:uploadId/waive',
      {
        config: operate,
        schema: {
          summary: 'Let later versions pass without answering these corrections rightly; their labels stay',
          params: byId,
          body: z.strictObject({
            lines: z.array(z.int().min(1)).min(1).max(10_000).nullable().default(null),
            reason: z.string().max(500),
          }),
        },
      },
      async ({ params, body, caller }) =>
        waiveCases(pool, params.uploadId, {
          ...body,
          actor: caller.subject || ANYONE,
          at: systemClock.now(),
        }),
    );
  };
}
