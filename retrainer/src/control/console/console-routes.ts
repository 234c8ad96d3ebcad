import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { BundleStore } from '@hotloop/platform/registry/bundle-store.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import type { LoopReader } from '../../datasets/loop-state.ts';
import { exportPredictions } from '../../datasets/predictions/export-predictions.ts';
import { modelHistory } from '../../ledger/ledger.ts';
import type { ModelRules } from '../../outcomes/model-rules.ts';
import { findVersionManifest } from '../../registry/find-manifest.ts';
import { getModel } from '../../registry/list-models.ts';
import { requestRun } from '../../runs/request-run.ts';
import { listRuns } from '../../runs/run-store.ts';
import { getRun } from '../../runs/watch-run.ts';
import { readVersionAnswers } from './compare-versions.ts';
import { readDisagreement } from './disagreement.ts';
import { labelChoices } from './label-choices.ts';
import { loopSoon, readOverview } from './overview.ts';
import { readPrediction } from './prediction-details.ts';
import { PREDICTION_KINDS, recentPredictions } from './recent-predictions.ts';
import { TRAFFIC_WINDOWS, type TrafficWindow, trafficReader } from './traffic.ts';

export interface ConsoleDependencies {
  readonly pool: Pool;
  readonly bundles: BundleStore;
  readonly registry: RegistryReader;
  readonly rules: ModelRules;
  readonly loop: LoopReader;
  readonly clock: Clock;
  /** Tells the outbox that a run waits. */
  readonly wake: () => void;
}

const reads = { requires: 'operate' } as const;
const model = z.object({ model: z.string().min(1).max(63) });
const reason = z.string().trim().max(500).default('');

/** What the console reads, each as one answer that its screens show, and the actions of its buttons. */
export function consoleRoutes(dependencies: ConsoleDependencies): RouteModule {
  const { pool, registry, rules, loop, clock } = dependencies;
  const traffic = trafficReader(pool, clock);
  return (app) => {
    app.get('/v1/console/overview', { config: reads, schema: { response: {} } }, async () => ({
      models: await readOverview({ pool, loop, traffic }),
    }));
    app.get('/v1/console/models/:model', { config: reads, schema: { params: model } }, async ({ params }) => {
      const [details, state, recent, history] = await Promise.all([
        getModel(pool, params.model),
        loopSoon(loop, params.model),
        traffic.recent(),
        modelHistory(pool, params.model, 200),
      ]);
      const labelling = labelChoices(registry, params.model);
      return { ...details, loop: state, traffic: recent.get(params.model) ?? null, history, labelling };
    });
    app.get(
      '/v1/console/models/:model/traffic',
      {
        config: reads,
        schema: {
          params: model,
          querystring: z.object({
            window: z.enum(Object.keys(TRAFFIC_WINDOWS) as [TrafficWindow, ...TrafficWindow[]]),
          }),
        },
      },
      async ({ params, query }) => {
        // Unknown models are refused, so that nothing is kept for names that anybody makes up.
        await getModel(pool, params.model);
        return { traffic: await traffic.of(params.model, query.window) };
      },
    );
    app.get(
      '/v1/console/models/:model/predictions',
      {
        config: reads,
        schema: {
          params: model,
          querystring: z.object({
            only: z.enum([...PREDICTION_KINDS, 'suspected']).default('all'),
            version: z.coerce.number().int().positive().optional(),
            before: z.string().optional(),
            limit: z.coerce.number().int().min(1).max(200).default(50),
          }),
        },
      },
      async ({ params, query }) => {
        const { only, limit } = query;
        const shared = { model: params.model, limit, version: query.version ?? null };
        const filter = { ...shared, before: query.before ?? null };
        const now = clock.now();
        if (only !== 'suspected')
          return { predictions: await recentPredictions(pool, { ...filter, only }, now) };
        const ids = await suspectedOf(
          pool,
          await findVersionManifest(dependencies, params.model),
          limit,
          now,
        );
        return { predictions: await recentPredictions(pool, { ...filter, only: 'all', ids }, now) };
      },
    );
    app.get(
      '/v1/console/predictions/:id',
      { config: reads, schema: { params: z.object({ id: z.string().max(64) }) } },
      ({ params }) => readPrediction(params.id, { pool, registry, rules }),
    );
    app.get(
      '/v1/console/models/:model/compare',
      {
        config: reads,
        schema: {
          params: model,
          querystring: z.object({
            a: z.coerce.number().int().positive(),
            b: z.coerce.number().int().positive(),
          }),
        },
      },
      async ({ params, query }) => {
        const [a, b] = await Promise.all(
          [query.a, query.b].map((version) => readVersionAnswers(pool, params.model, version, clock.now())),
        );
        const disagreement = await readDisagreement(pool, params.model, [query.a, query.b], clock.now());
        return { a, b, disagreement };
      },
    );
    app.get(
      '/v1/console/models/:model/runs',
      { config: reads, schema: { params: model } },
      async ({ params }) => ({ runs: await listRuns(pool, params.model, 100) }),
    );
    app.get(
      '/v1/console/runs/:id',
      { config: reads, schema: { params: z.object({ id: z.uuid() }) } },
      ({ params }) => getRun(pool, params.id),
    );
    app.get(
      '/v1/console/models/:model/ledger',
      { config: reads, schema: { params: model } },
      async ({ params }) => ({ entries: await modelHistory(pool, params.model, 500) }),
    );
  };
}

/** Predictions of the last thirty days whose label is probably wrong, by confident learning. */
async function suspectedOf(pool: Pool, manifest: Manifest, limit: number, now: number): Promise<string[]> {
  const found = await exportPredictions(pool, manifest, {
    ...{ fromMs: now - 30 * DAY_MS, toMs: now + DAY_MS, version: null, minScore: null, maxScore: null },
    ...{ margin: null, suspected: true, limit },
  });
  return found.map(({ predictionId }) => predictionId);
}

/** What the console's buttons do that no other route does. Promotion and rollback are rollouts. */
export function consoleActions(dependencies: ConsoleDependencies): RouteModule {
  const { pool, registry, wake } = dependencies;
  return (app) => {
    app.post(
      '/v1/console/models/:model/retrain',
      { config: reads, schema: { params: model, body: z.strictObject({ reason }) } },
      async ({ params, body }) => {
        const request = { model: params.model, key: '', reason: body.reason, hold: false };
        const { run, created } = await requestRun(request, pool, registry);
        wake();
        return { runId: run.runId, created };
      },
    );
  };
}
