import { fromPostgresError, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { NODE_ALIVE_SECONDS } from '@hotloop/platform/registry/node-liveness.ts';
import { versionsThatWereLive } from '../ledger/ledger.ts';
import { unknownModel } from '../rollouts/promotion-store.ts';
import { listVersions, type VersionRow } from './version-store.ts';

export interface ModelSummary {
  readonly name: string;
  /** Task of the live version, else of the newest. */
  readonly task: string;
  /** 0 if there is none. */
  readonly liveVersion: number;
  readonly previousVersion: number;
  readonly generation: number;
  readonly versions: number;
}

export interface NodeState {
  readonly node: string;
  readonly state: string;
  readonly memoryBytes: number;
  readonly detail: string;
}

export interface VersionDetails extends VersionRow {
  readonly state: 'registered' | 'live' | 'previous' | 'retired';
  readonly nodes: readonly NodeState[];
}

export interface ModelDetails {
  readonly model: ModelSummary;
  /** Newest first. */
  readonly versions: readonly VersionDetails[];
}

const SUMMARY = `
  SELECT model.name, model.live_version, model.previous_version, model.generation, count(version.version) AS versions,
    (SELECT manifest ->> 'task' FROM model_version named WHERE named.model = model.name
     AND named.version = coalesce(model.live_version, max(version.version))) AS task
  FROM model LEFT JOIN model_version version ON version.model = model.name
  WHERE $1::text IS NULL OR model.name = $1 GROUP BY model.name ORDER BY model.name`;

const NODES = `
  SELECT node, version, memory_bytes, detail,
    CASE WHEN seen_at > now() - make_interval(secs => $2) THEN state ELSE 'gone' END AS state
  FROM node_version WHERE model = $1 ORDER BY node`;

interface SummaryRow {
  readonly name: string;
  readonly task: string | null;
  readonly live_version: number | null;
  readonly previous_version: number | null;
  readonly generation: string;
  readonly versions: string;
}

interface NodeRow {
  readonly node: string;
  readonly version: number;
  readonly state: string;
  readonly memory_bytes: string;
  readonly detail: string;
}

export async function listModels(pool: Pool): Promise<readonly ModelSummary[]> {
  return readSummaries(pool, null);
}

/** A model with its versions and every node's report on each. Throws NOT_FOUND. */
export async function getModel(pool: Pool, name: string): Promise<ModelDetails> {
  const [summaries, versions, nodes, wereLive] = await Promise.all([
    readSummaries(pool, name),
    listVersions(pool, name),
    rowsOf<NodeRow>(pool, NODES, [name, NODE_ALIVE_SECONDS]),
    versionsThatWereLive(pool, name),
  ]);
  const model = summaries[0];
  if (!model) throw await unknownModel(pool, name);
  return {
    model,
    versions: versions.map((version) => ({
      ...version,
      state: stateOf(model, version.version, wereLive),
      nodes: nodes.filter((node) => node.version === version.version).map(nodeOf),
    })),
  };
}

function stateOf(
  model: ModelSummary,
  version: number,
  wereLive: ReadonlySet<number>,
): VersionDetails['state'] {
  if (version === model.liveVersion) return 'live';
  if (version === model.previousVersion) return 'previous';
  return wereLive.has(version) ? 'retired' : 'registered';
}

function nodeOf(row: NodeRow): NodeState {
  return { node: row.node, state: row.state, memoryBytes: Number(row.memory_bytes), detail: row.detail };
}

async function readSummaries(pool: Pool, name: string | null): Promise<ModelSummary[]> {
  const rows = await rowsOf<SummaryRow>(pool, SUMMARY, [name]);
  return rows.map((row) => ({
    name: row.name,
    task: row.task ?? '',
    liveVersion: row.live_version ?? 0,
    previousVersion: row.previous_version ?? 0,
    generation: Number(row.generation),
    versions: Number(row.versions),
  }));
}

async function rowsOf<Row extends object>(pool: Pool, text: string, values: unknown[]): Promise<Row[]> {
  try {
    return (await pool.query<Row>(text, values)).rows;
  } catch (error) {
    throw fromPostgresError(error);
  }
}
