import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { NODE_ALIVE_SECONDS } from '@hotloop/platform/registry/node-liveness.ts';
import type { LoopReader } from '../datasets/loop-state.ts';
import { getModel, listModels } from '../registry/list-models.ts';
import { type Rollout, sharePercent } from '../rollouts/rollout.ts';
import { listRollouts } from '../rollouts/rollout-rows.ts';
import { listRuns } from '../runs/run-store.ts';

/** One part of the status, provided by its module. If it fails, it is left out and the reason is reported. */
export type StatusPart = () => Promise<unknown>;

export interface StatusDependencies {
  readonly pool: Pool;
  readonly loop: LoopReader;
  /** Parts of other modules, by their name in the answer, such as alarms. */
  readonly parts?: Readonly<Record<string, StatusPart>>;
}

/** The overview for operators. Parts are read in parallel; one that cannot be read is listed under `unread`. */
export async function readStatus({ pool, loop, parts = {} }: StatusDependencies) {
  const unread: Record<string, string> = {};
  const part = async <T>(name: string, read: () => Promise<T>): Promise<T | null> => {
    try {
      return await read();
    } catch (error) {
      unread[name] = fromPostgresError(error).message;
      return null;
    }
  };
  const models = (await part('models', () => listModels(pool))) ?? [];
  const [details, nodes, rollouts, runs, logLagS, ...others] = await Promise.all([
    Promise.all(
      models.map((model) => part(`model ${model.name}`, () => modelStatus(pool, loop, model.name))),
    ),
    part('nodes', () => readNodes(pool)),
    part('rollouts', async () =>
      (await listRollouts(pool, '', 50)).filter((one) => one.endedAt === null).map(rolloutLine),
    ),
    part('runs', async () => (await listRuns(pool, '', 5)).map((run) => ({ ...run }))),
    part('log', () => readLag(pool)),
    ...Object.entries(parts).map(([name, read]) => part(name, read)),
  ]);
  return {
    at: new Date().toISOString(),
    models: details.filter((model) => model !== null),
    nodes: nodes ?? [],
    rollouts: rollouts ?? [],
    runs: runs ?? [],
    logLagSeconds: logLagS,
    ...Object.fromEntries(Object.keys(parts).map((name, index) => [name, others[index] ?? null])),
    unread,
  };
}

async function modelStatus(pool: Pool, loop: LoopReader, name: string) {
  const [{ model, versions }, state] = await Promise.all([getModel(pool, name), loop.read(name)]);
  const loaded = versions
    .filter((version) => version.nodes.length > 0)
    .map(({ version, state: role, nodes }) => ({
      version,
      role,
      nodes: nodes.map(({ node, state: is, memoryBytes, detail }) => ({
        node,
        state: is,
        memoryBytes,
        detail,
      })),
    }));
  const { latestRun: _, ...counts } = state;
  return { ...model, loaded, loop: counts };
}

function rolloutLine(rollout: Rollout) {
  const { rolloutId, model, version, mode, state, message } = rollout;
  return { rolloutId, model, version, mode, state, message, sharePercent: sharePercent(rollout) };
}

async function readNodes(pool: Pool) {
  const { rows } = await pool.query<{
    node: string;
    alive: boolean;
    seconds: number;
    versions: number;
    memory: number;
  }>(
    `SELECT node.node, node.seen_at > now() - make_interval(secs => $1) AS alive,
       extract(epoch FROM now() - node.seen_at)::float8 AS seconds,
       count(v.version)::int AS versions, coalesce(sum(v.memory_bytes), 0)::float8 AS memory
     FROM node LEFT JOIN node_version v ON v.node = node.node GROUP BY node.node, node.seen_at ORDER BY node.node`,
    [NODE_ALIVE_SECONDS],
  );
  return rows.map(({ node, alive, seconds, versions, memory }) => ({
    ...{ node, alive, versions },
    seenSecondsAgo: Math.round(seconds),
    memoryBytes: memory,
  }));
}

/** Age of the newest row of the prediction log; null if it is empty. */
async function readLag(pool: Pool): Promise<number | null> {
  const { rows } = await pool.query<{ lag: number | null }>(
    `SELECT extract(epoch FROM now() - at)::float8 AS lag FROM prediction ORDER BY prediction_id DESC LIMIT 1`,
  );
  return rows[0]?.lag ?? null;
}
