import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { durationSchema } from '@hotloop/model/manifest/duration.ts';
import { ADVANCE_RULES, ROLLOUT_MODES } from '@hotloop/model/manifest/rollout-schema.ts';
import type { RouteModule } from '@hotloop/platform/http/http-server.ts';
import { toHotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';
import { actOnRollout, ROLLOUT_ACTIONS } from './act-on-rollout.ts';
import { unknownModel } from './promotion-store.ts';
import type { Reconciler } from './reconciler.ts';
import {
  type PromotionDependencies,
  type PromotionOptions,
  requestPromotion,
  requestRollback,
} from './request-rollout.ts';
import { type Rollout, type RolloutChange, sharePercent } from './rollout.ts';
import { changesAfter, findRollout, listRollouts } from './rollout-rows.ts';
import { isRolloutEnded } from './rollout-state.ts';

export interface RolloutRouteDependencies extends PromotionDependencies {
  readonly reconciler: Pick<Reconciler, 'wake'>;
  readonly promotion: PromotionOptions;
}

const EVENTS_POLL_MS = 200;
const MOST_LISTED = 500;

const time = z.string().describe('RFC 3339');
const rolloutSchema = z.object({
  rolloutId: z.string(),
  model: z.string(),
  version: z.int(),
  fromVersion: z.int().nullable().describe('What was live when it began'),
  action: z.enum(['promote', 'rollback']),
  mode: z.string(),
  state: z.string(),
  step: z.int(),
  steps: z.array(z.number()).describe('Percent of the entities at each step of a canary'),
  sharePercent: z.number().describe('Percent of the entities that the version answers now'),
  message: z.string(),
  reason: z.string(),
  actor: z.string(),
  approvalsNeeded: z.int(),
  approvals: z.array(z.object({ actor: z.string(), at: time, reason: z.string() })),
  evidence: z.record(z.string(), z.unknown()),
  ended: z.boolean(),
  createdAt: time,
  stateSince: time,
  endedAt: time.nullable(),
});

const changeSchema = z.object({
  sequence: z.int(),
  at: time,
  event: z.string(),
  state: z.string(),
  step: z.int(),
  message: z.string(),
  actor: z.string(),
  reason: z.string(),
  evidence: z.record(z.string(), z.unknown()),
});

const actorSchema = z
  .string()
  .max(200)
  .default('')
  .describe('Who does it; the key says so where keys are used');
const reasonSchema = z.string().max(2_000).default('');

const startSchema = z.strictObject({
  version: z.int().min(1).optional().describe('Absent: go back to the previous version'),
  actor: actorSchema,
  reason: reasonSchema,
  force: z.boolean().default(false).describe('Although its gate refused it; needs a reason'),
  expectedGeneration: z.int().min(0).default(0),
  mode: z.enum(ROLLOUT_MODES).optional(),
  steps: z.array(z.number().min(0).max(100)).min(1).max(20).optional(),
  share: z.number().min(0).max(1).optional(),
  advance: z.enum(ADVANCE_RULES).optional(),
  requests: z.int().min(1).optional(),
  every: durationSchema.optional(),
});

const operate = { requires: 'operate' } as const;
const named = z.object({ rollout: z.uuid() });

/** Rollouts over HTTP: begin, list, read, act on, and follow them (server-sent events). */
export function rolloutRoutes(dependencies: RolloutRouteDependencies): RouteModule {
  const { pool, reconciler, promotion } = dependencies;
  return (app) => {
    app.post(
      '/v1/models/:model/rollouts',
      {
        config: operate,
        schema: {
          summary: 'Begin the rollout of a version, or the way back to the previous one',
          params: z.object({ model: z.string() }),
          body: startSchema,
          response: {
            200: rolloutSchema.nullable().describe('null: the version is live already'),
            202: rolloutSchema,
          },
        },
      },
      async ({ params, body, caller }, reply) => {
        const { version, force, expectedGeneration, reason, actor: claimed, ...change } = body;
        const actor = actorOf(caller.subject, claimed);
        if (version === undefined) {
          const back = await requestRollback(params.model, actor, reason, dependencies, promotion);
          reconciler.wake();
          return reply.code(202).send(rolloutView(back));
        }
        const wanted = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
        const requested = await requestPromotion(
          { model: params.model, version, expectedGeneration, actor, reason, force, change: wanted },
          dependencies,
          promotion,
        );
        if (requested.kind === 'already_live') return reply.code(200).send(null);
        reconciler.wake();
        return reply.code(202).send(rolloutView(requested.rollout));
      },
    );
    const listQuery = z.object({ limit: z.coerce.number().int().min(1).max(MOST_LISTED).default(20) });
    const listed = { 200: z.object({ rollouts: z.array(rolloutSchema) }) };
    app.get(
      '/v1/models/:model/rollouts',
      {
        config: operate,
        schema: {
          summary: "A model's rollouts, newest first",
          params: z.object({ model: z.string() }),
          querystring: listQuery,
          response: listed,
        },
      },
      async ({ params, query }) => {
        const rollouts = await listRollouts(pool, params.model, query.limit);
        if (rollouts.length === 0) await requireModel(dependencies, params.model);
        return { rollouts: rollouts.map(rolloutView) };
      },
    );
    app.get(
      '/v1/rollouts',
      {
        config: operate,
        schema: {
          summary: 'Rollouts of every model, newest first',
          querystring: listQuery,
          response: listed,
        },
      },
      async ({ query }) => ({ rollouts: (await listRollouts(pool, '', query.limit)).map(rolloutView) }),
    );
    app.get(
      '/v1/rollouts/:rollout',
      {
        config: operate,
        schema: {
          summary: 'A rollout and what happened to it',
          params: named,
          response: { 200: z.object({ rollout: rolloutSchema, changes: z.array(changeSchema) }) },
        },
      },
      async ({ params }) => ({
        rollout: rolloutView(await findRollout(pool, params.rollout)),
        changes: (await changesAfter(pool, params.rollout, 0)).map(changeView),
      }),
    );
    for (const action of ROLLOUT_ACTIONS)
      app.post(
        `/v1/rollouts/:rollout/${action}`,
        {
          config: operate,
          schema: {
            summary: `Ask a rollout to ${action}`,
            params: named,
            body: z.strictObject({ actor: actorSchema, reason: reasonSchema }),
            response: { 200: rolloutSchema },
          },
        },
        async ({ params, body, caller }) => {
          const actor = actorOf(caller.subject, body.actor);
          const changed = await actOnRollout(
            params.rollout,
            { action, actor, reason: body.reason },
            dependencies,
          );
          reconciler.wake();
          return rolloutView(changed);
        },
      );
    app.get(
      '/v1/rollouts/:rollout/events',
      {
        config: operate,
        schema: { summary: 'Follow a rollout: server-sent events, until it ends', params: named },
      },
      async (request, reply) => {
        const { rollout } = request.params;
        await findRollout(pool, rollout);
        const gone = new AbortController();
        request.raw.once('close', () => gone.abort());
        reply.hijack();
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
        await follow(
          dependencies,
          rollout,
          lastSeen(request.headers['last-event-id']),
          gone.signal,
          async (text) => {
            if (!reply.raw.write(text)) await once(reply.raw, 'drain', { signal: gone.signal });
          },
        ).catch((error: unknown) => {
          if (!gone.signal.aborted)
            reply.raw.write(`event: error\ndata: ${toHotloopError(error).message}\n\n`);
        });
        reply.raw.end();
      },
    );
  };
}

async function follow(
  { pool }: PromotionDependencies,
  rolloutId: string,
  after: number,
  signal: AbortSignal,
  write: (text: string) => Promise<void>,
): Promise<void> {
  let seen = after;
  for (;;) {
    const rollout = await findRollout(pool, rolloutId);
    for (const change of await changesAfter(pool, rolloutId, seen)) {
      seen = change.sequence;
      const data = { ...changeView(change), rollout: rolloutView(rollout) };
      await write(`id: ${seen}\nevent: change\ndata: ${JSON.stringify(data)}\n\n`);
    }
    if (isRolloutEnded(rollout.state)) return;
    await sleep(EVENTS_POLL_MS, undefined, { signal });
  }
}

function lastSeen(header: string | string[] | undefined): number {
  const value = Number(header ?? 0);
  return Number.isInteger(value) && value > 0 ? value : 0;
}

async function requireModel({ pool }: PromotionDependencies, model: string): Promise<void> {
  const { rowCount } = await pool.query('SELECT 1 FROM model WHERE name = $1', [model]);
  if (rowCount === 0) throw await unknownModel(pool, model);
}

/** The actor for the ledger: the subject of the key, or without keys the given name. */
export function actorOf(subject: string, claimed: string): string {
  return subject || claimed.replaceAll('\0', '').slice(0, 200) || 'anonymous';
}

export function rolloutView(rollout: Rollout): z.input<typeof rolloutSchema> {
  const { plan, createdAt, stateAt, endedAt, approvals, evidence, ...rest } = rollout;
  return {
    rolloutId: rest.rolloutId,
    model: rest.model,
    version: rest.version,
    fromVersion: rest.fromVersion,
    action: rest.action,
    mode: rest.mode,
    state: rest.state,
    step: rest.step,
    steps: [...plan.steps],
    sharePercent: sharePercent(rollout),
    message: rest.message,
    reason: rest.reason,
    actor: rest.actor,
    approvalsNeeded: plan.approvals,
    approvals: approvals.map((approval) => ({ ...approval, at: iso(approval.at) })),
    evidence: { ...evidence },
    ended: isRolloutEnded(rest.state),
    createdAt: iso(createdAt),
    stateSince: iso(stateAt),
    endedAt: endedAt === null ? null : iso(endedAt),
  };
}

function changeView({ at, evidence, traffic: _, ...rest }: RolloutChange): z.input<typeof changeSchema> {
  return { ...rest, at: iso(at), evidence: { ...evidence } };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
