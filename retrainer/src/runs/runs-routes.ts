import type { Clock } from '@hotloop/platform/clock.ts';
import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { findVersion } from '../registry/version-store.ts';
import { gateTable } from '../rollouts/gate-table.ts';
import { cancelRun } from './cancel-run.ts';
import { exportRun } from './mlflow/export-run.ts';
import { mlflowClient } from './mlflow/mlflow-client.ts';
import type { TrainingRun } from './run.ts';
import { readCurve } from './run-metrics.ts';
import { listRuns } from './run-store.ts';
import { whyNot } from './run-triggers.ts';
import type { Runs } from './start-runs.ts';
import { getRun } from './watch-run.ts';

export interface RunsRouteDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly clock: Clock;
  readonly runs: Pick<Runs, 'deadLetters'>;
}

const MOST_EXPORTED = 1_000;
const reads = { requires: 'operate' } as const;
const runParams = z.object({ run: z.uuid() });

const runSchema = z.object({
  runId: z.string(),
  model: z.string(),
  kind: z.string().describe('retrain, or trial of a search'),
  experiment: z.string().describe('Groups runs, such as the trials of a search; empty without'),
  state: z.string(),
  message: z.string(),
  reason: z.string(),
  parentVersion: z.int().nullable(),
  version: z.int().nullable().describe('The version that it made'),
  datasetSha256: z.string().nullable(),
  examples: z.int(),
  progress: z.number(),
  parameters: z.record(z.string(), z.unknown()).describe('What it was trained with'),
  metrics: z.record(z.string(), z.number()),
  hardware: z.record(z.string(), z.unknown()),
  attempts: z.int(),
  createdAt: z.string(),
  startedAt: z.string().nullable(),
  endedAt: z.string().nullable(),
  seconds: z.number().nullable().describe('From its start to its end'),
});

const deadLetterSchema = z.object({ at: z.string(), reason: z.string(), job: z.string() });

/** `/v1/runs`, and the gate of a version. */
export function runsRoutes({ pool, registry, clock, runs: started }: RunsRouteDependencies): RouteModule {
  return (app) => {
    app.get(
      '/v1/runs/dead-letters',
      {
        config: reads,
        schema: {
          summary: 'Jobs of the training queue that were no run, newest first',
          querystring: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(50) }),
          response: { 200: z.object({ deadLetters: z.array(deadLetterSchema) }) },
        },
      },
      async ({ query }) => ({ deadLetters: await started.deadLetters(query.limit) }),
    );
    app.get(
      '/v1/runs',
      {
        config: reads,
        schema: {
          summary: 'Training runs, newest first',
          querystring: z.object({
            model: z.string().max(63).default(''),
            experiment: z.string().max(200).default(''),
            limit: z.coerce.number().int().min(1).max(1000).default(50),
          }),
          response: { 200: z.object({ runs: z.array(runSchema) }) },
        },
      },
      async ({ query }) => {
        const runs = await listRuns(pool, query.model, query.limit, query.experiment);
        return { runs: runs.map(shown) };
      },
    );
    app.post(
      '/v1/mlflow/runs',
      {
        config: reads,
        schema: {
          summary:
            'Export ended runs to an MLflow tracking server; those that are there already are left alone',
          body: z.strictObject({ url: z.url(), model: z.string().max(63).default('') }),
          response: { 200: z.object({ exported: z.int(), known: z.int() }) },
        },
      },
      async ({ body }) => {
        const mlflow = mlflowClient(body.url);
        let [exported, known] = [0, 0];
        for (const run of await listRuns(pool, body.model, MOST_EXPORTED)) {
          if (run.endedAt === null) continue;
          const { created } = await exportRun(mlflow, run, await readCurve(pool, run.runId));
          if (created) exported++;
          else known++;
        }
        return { exported, known };
      },
    );
    app.get(
      '/v1/runs/:run',
      { config: reads, schema: { summary: 'One run, with its gate and its curves', params: runParams } },
      async ({ params }) => {
        const run = await getRun(pool, params.run);
        const curve = await readCurve(pool, params.run);
        return { ...shown(run), gate: run.gate, gateTable: run.gate && gateTable(run.gate), curve };
      },
    );
    app.post(
      '/v1/runs/:run/cancel',
      { config: reads, schema: { summary: 'End a run', params: runParams, response: { 200: runSchema } } },
      async ({ params, caller }) =>
        shown(await cancelRun(pool, params.run, caller.subject || 'anonymous', clock.now())),
    );
    app.get(
      '/v1/models/:model/versions/:version/gate',
      {
        config: reads,
        schema: {
          summary: 'What the gate found of a version that was trained here',
          params: z.object({ model: z.string().max(63), version: z.coerce.number().int().positive() }),
        },
      },
      async ({ params }) => {
        const { runId } = await findVersion(pool, params.model, params.version);
        const gate = runId === null ? null : (await getRun(pool, runId)).gate;
        if (gate === null)
          throw new HotloopError(
            'NOT_FOUND',
            `version ${params.version} of ${params.model} was not made by a training run, so no gate has judged it`,
          );
        return { model: params.model, version: params.version, runId, gate, gateTable: gateTable(gate) };
      },
    );
    app.get(
      '/v1/models/:model/why-not-retrained',
      {
        config: reads,
        schema: {
          summary: 'Why no training run has started by itself',
          params: z.object({ model: z.string().max(63) }),
        },
      },
      ({ params }) => whyNot(params.model, { pool, registry, now: clock.now() }),
    );
  };
}

function shown(run: TrainingRun) {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  const { runId, model, kind, experiment, state, message, reason, parentVersion, version } = run;
  const { datasetSha256, examples, progress, createdAt, startedAt, endedAt } = run;
  return {
    ...{ runId, model, kind, experiment, state, message, reason, parentVersion, version, datasetSha256 },
    ...{ examples, progress, attempts: run.token, createdAt: new Date(createdAt).toISOString() },
    parameters: { ...run.parameters },
    metrics: { ...run.metrics },
    hardware: { ...run.hardware },
    startedAt: time(startedAt),
    endedAt: time(endedAt),
    seconds: startedAt === null || endedAt === null ? null : (endedAt - startedAt) / 1000,
  };
}
