import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '@hotloop/platform/clock.ts';
import { z } from '@hotloop/platform/config.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { BATCH_STATES, type BatchRun, batchOptionsSchema, isEnded } from './batch-run.ts';
import { batchProgress, listBatchRuns, readBatchRun, stopBatch } from './batch-store.ts';
import { permitBatch } from './permit-batch.ts';
import { type BatchDependencies, requestBatch } from './request-batch.ts';
import { runScheduleNow } from './run-schedules.ts';
import { listSchedules, putSchedule, removeSchedule, scheduleSchema } from './schedule-store.ts';

const runSchema = z.object({
  run_id: z.string(),
  model: z.string(),
  version: z.number(),
  source: z.string(),
  sink: z.string(),
  schedule: z.string().nullable(),
  state: z.enum(BATCH_STATES),
  message: z.string(),
  dataset_sha256: z.string().nullable(),
  rows: z.number().nullable(),
  parts: z.number(),
  parts_done: z.number(),
  accepted: z.number(),
  refused: z.number(),
  rows_per_second: z.number().nullable(),
  seconds_left: z.number().nullable(),
  created_at: z.string(),
  ended_at: z.string().nullable(),
});

const LONGEST_WAIT_MS = 20_000;
const LOOK_EVERY_MS = 100;

/** Batches and their schedules over HTTP. */
export function batchRoutes(dependencies: BatchDependencies & { readonly clock: Clock }): RouteModule {
  const { pool, clock } = dependencies;
  const report = async (run: BatchRun) => reportOf(run, await batchProgress(pool, run.runId), clock.now());
  return (app) => {
    app.post(
      '/v1/batch/runs',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Predict all rows of a source',
          body: z.strictObject({
            model: z.string(),
            version: z.string().default('live'),
            source: z.string(),
            sink: z.string(),
            options: batchOptionsSchema.prefault({}),
            key: z.string().max(200).default(''),
          }),
          response: { 200: runSchema },
        },
      },
      async ({ body, caller }) => {
        permitBatch(caller, body);
        const request = { ...body, schedule: null, caller: caller.subject };
        return report((await requestBatch(dependencies, request, clock.now())).run);
      },
    );
    app.get(
      '/v1/batch/runs',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Batches, newest first',
          querystring: z.object({
            model: z.string().default(''),
            schedule: z.string().default(''),
            limit: z.coerce.number().int().min(1).max(500).default(50),
          }),
          response: { 200: z.object({ runs: z.array(runSchema) }) },
        },
      },
      async ({ query }) => ({ runs: await Promise.all((await listBatchRuns(pool, query)).map(report)) }),
    );
    app.get(
      '/v1/batch/runs/:run',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'One batch; with `wait`, when it has moved or ended',
          params: z.object({ run: z.uuid() }),
          querystring: z.object({ wait: z.coerce.number().int().min(0).max(LONGEST_WAIT_MS).default(0) }),
          response: { 200: runSchema },
        },
      },
      async ({ params, query }) => {
        const until = clock.monotonic() + query.wait;
        const first = await report(await found(params.run));
        let last = first;
        while (clock.monotonic() < until && !isEnded(last.state) && last.parts_done === first.parts_done) {
          await sleep(LOOK_EVERY_MS);
          last = await report(await found(params.run));
        }
        return last;
      },
    );
    app.post(
      '/v1/batch/runs/:run/cancel',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'End a batch; what it wrote so far is not published',
          params: z.object({ run: z.uuid() }),
          response: { 200: runSchema },
        },
      },
      async ({ params, caller }) => {
        await found(params.run);
        await stopBatch(pool, params.run, 'cancelled', `cancelled by ${caller.subject || 'an operator'}`);
        return report(await found(params.run));
      },
    );
    app.get(
      '/v1/batch/schedules',
      {
        config: { requires: 'operate' },
        schema: { summary: 'Schedules and when each runs next' },
      },
      async () => ({ schedules: await listSchedules(pool) }),
    );
    app.put(
      '/v1/batch/schedules/:name',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'Make or change a schedule',
          params: z.object({ name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/) }),
          body: scheduleSchema,
        },
      },
      async ({ params, body, caller }) => {
        permitBatch(caller, body);
        return putSchedule(pool, params.name, body, clock.now());
      },
    );
    app.post(
      '/v1/batch/schedules/:name/run',
      {
        config: { requires: 'operate' },
        schema: {
          summary: 'A run of a schedule now; its times stay as they are',
          params: z.object({ name: z.string() }),
          response: { 200: runSchema },
        },
      },
      async ({ params, caller }) =>
        report(await runScheduleNow(dependencies, params.name, caller.subject, clock.now())),
    );
    app.delete(
      '/v1/batch/schedules/:name',
      {
        config: { requires: 'operate' },
        schema: { summary: 'Remove a schedule; its runs stay', params: z.object({ name: z.string() }) },
      },
      async ({ params }) => {
        if (!(await removeSchedule(pool, params.name)))
          throw new HotloopError('NOT_FOUND', `there is no schedule ${params.name}`);
        return { removed: params.name };
      },
    );
  };

  async function found(runId: string): Promise<BatchRun> {
    const run = await readBatchRun(pool, runId);
    if (!run) throw new HotloopError('NOT_FOUND', `there is no batch ${runId}`);
    return run;
  }
}

function reportOf(
  run: BatchRun,
  progress: Awaited<ReturnType<typeof batchProgress>>,
  nowMs: number,
): z.output<typeof runSchema> {
  const done = progress.accepted + progress.refused;
  const seconds = run.startedAt === null ? 0 : ((run.endedAt ?? nowMs) - run.startedAt) / 1000;
  const rate = done > 0 && seconds > 0 ? done / seconds : null;
  const left = rate === null || run.rows === null || run.endedAt !== null ? null : (run.rows - done) / rate;
  return {
    run_id: run.runId,
    model: run.model,
    version: run.version,
    source: run.source,
    sink: run.sink,
    schedule: run.schedule,
    state: run.state,
    message: run.message,
    dataset_sha256: run.datasetSha256,
    rows: run.rows,
    parts: progress.parts,
    parts_done: progress.partsDone,
    accepted: progress.accepted,
    refused: progress.refused,
    rows_per_second: rate === null ? null : Math.round(rate),
    seconds_left: left === null ? null : Math.round(left),
    created_at: new Date(run.createdAt).toISOString(),
    ended_at: run.endedAt === null ? null : new Date(run.endedAt).toISOString(),
  };
}
