import type { Clock } from '@hotloop/platform/clock.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { z } from 'zod';
import { modelHistory } from '../ledger/ledger.ts';
import { actorOf } from '../rollouts/rollout-routes.ts';
import { findRun } from '../runs/run-store.ts';
import { collectGarbage } from './collect-garbage.ts';
import { getModel } from './list-models.ts';
import { archiveVersion, deleteModel, deleteVersion, labelVersion } from './manage-versions.ts';
import { modelCard, modelCardMarkdown } from './model-card.ts';
import { findVersion, listVersions, readManifest } from './version-store.ts';

export interface RegistryRouteDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly objects: ObjectStore;
  readonly clock: Clock;
}

const operate = { requires: 'operate' } as const;
const model = z.object({ model: z.string() });
const one = z.object({ model: z.string(), version: z.coerce.number().int().min(1) });
const said = { actor: z.string().max(200).default(''), reason: z.string().max(2_000).default('') };
const done = z.object({ model: z.string(), version: z.int(), done: z.string() });

/** Routes for registered versions: labels, notes, archive, delete, download, model card. */
export function registryRoutes({ pool, bundles, objects, clock }: RegistryRouteDependencies): RouteModule {
  return (app) => {
    app.post(
      '/v1/store/garbage',
      {
        config: operate,
        schema: {
          summary: 'Remove bundles and datasets of the store that nothing refers to',
          body: z.strictObject({
            dryRun: z.boolean().default(false).describe('Only tell what would go'),
            olderThanHours: z.number().min(1).max(87_600).default(24),
          }),
          response: {
            200: z.object({
              bundles: z.int(),
              datasets: z.int(),
              checkpoints: z.int().describe('Of training runs that have ended'),
              bytes: z.number(),
              keys: z.array(z.string()).describe('At most 1000 of them'),
            }),
          },
        },
      },
      async ({ body }) => {
        const options = { minAgeMs: body.olderThanHours * HOUR_MS, isDryRun: body.dryRun };
        const { keys, ...counts } = await collectGarbage(pool, objects, clock.now(), options);
        return { ...counts, keys: keys.slice(0, 1_000) };
      },
    );
    app.put(
      '/v1/models/:model/versions/:version/labels',
      {
        config: operate,
        schema: {
          summary: 'Set labels and the note of a version; an empty label is taken away',
          params: one,
          body: z.strictObject({
            labels: z.record(z.string(), z.string().max(500)).default({}),
            note: z.string().max(2_000).optional(),
            ...said,
          }),
          response: { 200: done },
        },
      },
      async ({ params, body, caller }) => {
        const act = { actor: actorOf(caller.subject, body.actor), reason: body.reason, at: clock.now() };
        await labelVersion(pool, params.model, params.version, body.labels, body.note, act);
        return { ...params, done: 'labelled' };
      },
    );
    for (const archived of [true, false])
      app.post(
        `/v1/models/:model/versions/:version/${archived ? 'archive' : 'restore'}`,
        {
          config: operate,
          schema: {
            summary: archived
              ? 'Put a version away: kept, not to be promoted'
              : 'Bring an archived version back',
            params: one,
            body: z.strictObject(said),
            response: { 200: done },
          },
        },
        async ({ params, body, caller }) => {
          const act = { actor: actorOf(caller.subject, body.actor), reason: body.reason, at: clock.now() };
          await archiveVersion(pool, params.model, params.version, archived, act);
          return { ...params, done: archived ? 'archived' : 'restored' };
        },
      );
    app.delete(
      '/v1/models/:model/versions/:version',
      {
        config: operate,
        schema: {
          summary: 'Delete a version that is not live, previous or in a rollout',
          params: one,
          querystring: z.object(said),
          response: { 200: done },
        },
      },
      async ({ params, query, caller }) => {
        const act = { actor: actorOf(caller.subject, query.actor), reason: query.reason, at: clock.now() };
        await deleteVersion(pool, params.model, params.version, act);
        return { ...params, done: 'deleted' };
      },
    );
    app.delete(
      '/v1/models/:model',
      {
        config: operate,
        schema: {
          summary: 'Delete a model with all its versions',
          params: model,
          querystring: z.object({ ...said, force: z.stringbool().default(false) }),
          response: { 200: z.object({ model: z.string(), versions: z.int() }) },
        },
      },
      async ({ params, query, caller }) => {
        const act = { actor: actorOf(caller.subject, query.actor), reason: query.reason, at: clock.now() };
        return { model: params.model, versions: await deleteModel(pool, params.model, query.force, act) };
      },
    );
    for (const file of ['model.yaml', 'model.onnx'] as const)
      app.get(
        `/v1/models/:model/versions/:version/${file}`,
        { config: operate, schema: { summary: `${file} of a version, verified`, params: one } },
        async ({ params }, reply) => {
          const { bundleSha256 } = await findVersion(pool, params.model, params.version);
          const bundle = await bundles.get(bundleSha256);
          return file === 'model.yaml'
            ? reply.type('application/yaml').send(bundle.manifestYaml)
            : reply.type('application/octet-stream').send(Buffer.from(bundle.onnx));
        },
      );
    app.get(
      '/v1/models/:model/versions/:version/card',
      {
        config: operate,
        schema: {
          summary: 'The model card: JSON, or Markdown with ?format=markdown',
          params: one,
          querystring: z.object({ format: z.enum(['json', 'markdown']).default('json') }),
        },
      },
      async ({ params, query }, reply) => {
        const [version, versions, manifest, details, ledger] = await Promise.all([
          findVersion(pool, params.model, params.version),
          listVersions(pool, params.model),
          readManifest(pool, params.model, params.version),
          getModel(pool, params.model),
          modelHistory(pool, params.model, 1_000),
        ]);
        const run = version.runId === null ? null : await findRun(pool, version.runId);
        const isLive = details.model.liveVersion === version.version;
        const card = modelCard({ version, versions, manifest, isLive, ledger, gate: run?.gate ?? null });
        return query.format === 'json'
          ? reply.send(card)
          : reply.type('text/markdown; charset=utf-8').send(modelCardMarkdown(card));
      },
    );
  };
}
