import { durationMs, durationSchema } from '@hotloop/model/manifest/duration.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { type Pool, transaction } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import type { Incident } from './incidents/incident.ts';
import {
  acknowledgeIncident,
  closeIncident,
  endSilence,
  findIncident,
  insertSilence,
  listIncidents,
  listSilences,
} from './incidents/incident-store.ts';
import { monitoringStatus } from './monitoring-status.ts';
import { adviceOn, beganAt, deliveriesOf } from './notify/alert-body.ts';
import { enqueueDeliveries } from './notify/delivery-store.ts';
import { findModel, monitoringReport, parseSince } from './report/monitoring-report.ts';
import { reportHtml } from './report/report-html.ts';
import { listSketches, SPANS } from './sketches/sketch-store.ts';

export interface MonitoringRoutesDependencies {
  readonly pool: Pool;
  readonly registry: RegistryReader;
  readonly clock: Clock;
}

const operate = { requires: 'operate' } as const;
const modelParams = z.object({ model: z.string().min(1).max(63) });
const incidentParams = z.object({ id: z.uuid() });
const noteBody = z.object({ note: z.string().max(2000).default('') });
const sinceQuery = z.object({
  since: z.string().max(40).default('7d').describe('A duration such as 7d, or a date'),
});

/** Routes of monitoring: incidents, silences, reports, its own state. */
export function monitoringRoutes({ pool, registry, clock }: MonitoringRoutesDependencies): RouteModule {
  return (app) => {
    app.get(
      '/v1/incidents',
      {
        config: operate,
        schema: {
          summary: 'Incidents, the newest first',
          querystring: z.object({
            model: z.string().max(63).optional(),
            open: z.enum(['true', 'false']).optional(),
            limit: z.coerce.number().int().min(1).max(1000).default(100),
          }),
        },
      },
      async ({ query }) => {
        const { model, open, limit } = query;
        const incidents = await listIncidents(pool, {
          limit,
          ...(model === undefined ? {} : { model }),
          ...(open === undefined ? {} : { open: open === 'true' }),
        });
        return { incidents };
      },
    );
    app.get(
      '/v1/incidents/:id',
      {
        config: operate,
        schema: {
          summary: 'One incident with its evidence, when it began, and what to do',
          params: incidentParams,
        },
      },
      async ({ params }) => {
        const incident = await findIncident(pool, params.id);
        return { ...incident, beganAt: beganAt(incident), toDo: adviceOn(incident) };
      },
    );
    app.post(
      '/v1/incidents/:id/acknowledge',
      {
        config: operate,
        schema: {
          summary: 'Somebody looks after it: it is not escalated',
          params: incidentParams,
          body: noteBody,
        },
      },
      async ({ params, body, caller }) => {
        const changed = await acknowledgeIncident(pool, params.id, caller.subject, body.note, clock.now());
        return changed ?? refuseChange(await findIncident(pool, params.id));
      },
    );
    app.post(
      '/v1/incidents/:id/close',
      { config: operate, schema: { summary: 'Closes it now', params: incidentParams, body: noteBody } },
      async ({ params, body }) => {
        const closed = await transaction(pool, async (client) => {
          const incident = await closeIncident(client, params.id, clock.now(), body.note);
          const record = incident && registry.current().models.get(incident.model);
          const live = record?.liveVersion === null ? undefined : record?.versions.get(record.liveVersion);
          if (incident && live)
            await enqueueDeliveries(client, deliveriesOf(incident, live.manifest.monitor.notify));
          return incident;
        });
        return closed ?? refuseChange(await findIncident(pool, params.id));
      },
    );
    app.post(
      '/v1/models/:model/silences',
      {
        config: operate,
        schema: {
          summary: 'Sends nothing about a model, or one cause of it, for a time',
          params: modelParams,
          body: z.object({
            cause: z.string().max(200).default('').describe('As in an incident; empty: all'),
            for: durationSchema,
            reason: z.string().min(1).max(500),
          }),
        },
      },
      async ({ params, body, caller }) => {
        findModel(registry, params.model);
        const until = clock.now() + durationMs(body.for);
        return insertSilence(pool, {
          ...{ model: params.model, cause: body.cause, reason: body.reason, until, actor: caller.subject },
        });
      },
    );
    app.get(
      '/v1/models/:model/silences',
      { config: operate, schema: { summary: 'Silences in force', params: modelParams } },
      async ({ params }) => ({ silences: await listSilences(pool, params.model, clock.now()) }),
    );
    app.delete(
      '/v1/models/:model/silences/:id',
      {
        config: operate,
        schema: {
          summary: 'Ends a silence; problems that persist are reported',
          params: modelParams.extend({ id: z.uuid() }),
        },
      },
      async ({ params: { model, id } }) => {
        if (!(await endSilence(pool, model, id, clock.now())))
          throw new HotloopError('NOT_FOUND', `model ${model} has no silence ${id} in force`);
        return { ended: id };
      },
    );
    app.get(
      '/v1/models/:model/monitoring',
      {
        config: operate,
        schema: {
          summary: 'Calls, features, drift, quality and incidents of a model',
          params: modelParams,
          querystring: sinceQuery,
        },
      },
      async ({ params, query }) => {
        const now = clock.now();
        return monitoringReport(pool, findModel(registry, params.model), parseSince(query.since, now), now);
      },
    );
    app.get(
      '/v1/models/:model/monitoring/report.html',
      {
        config: operate,
        schema: { summary: 'The same as one HTML file', params: modelParams, querystring: sinceQuery },
      },
      async ({ params, query }, reply) => {
        const now = clock.now();
        const model = findModel(registry, params.model);
        const report = await monitoringReport(pool, model, parseSince(query.since, now), now);
        return reply.type('text/html; charset=utf-8').send(reportHtml(report));
      },
    );
    app.get(
      '/v1/models/:model/monitoring/features/:feature',
      {
        config: operate,
        schema: {
          summary: 'One feature by hour: rows, missing share, quantiles or categories',
          params: modelParams.extend({ feature: z.string().min(1).max(63) }),
          querystring: sinceQuery,
        },
      },
      async ({ params, query }) => {
        const now = clock.now();
        findModel(registry, params.model);
        const spans = await listSketches(pool, {
          ...{ model: params.model, feature: params.feature, span: SPANS.hour },
          ...{ since: parseSince(query.since, now), until: now + 3_600_000 },
        });
        return {
          hours: spans.map(({ at, version, sketch }) => ({
            ...{ at, version, rows: sketch.rows, missingShare: sketch.missingShare },
            ...(sketch.kind === 'number' && sketch.values.count > 0
              ? {
                  quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map((q) => sketch.values.quantile(q)),
                  mean: sketch.values.mean,
                }
              : { categories: [...sketch.categories] }),
          })),
        };
      },
    );
    app.get(
      '/v1/monitoring/status',
      {
        config: operate,
        schema: { summary: 'Whether the monitor works, and alarms that could not be delivered' },
      },
      async () => monitoringStatus(pool, clock.now()),
    );
  };
}

function refuseChange(incident: Incident): never {
  throw new HotloopError('FAILED_PRECONDITION', `incident ${incident.id} is ${incident.state} already`);
}
