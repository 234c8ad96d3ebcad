import { type Checks, ill, well } from './check.ts';

const NODE_SILENT_S = 30;
const LOG_LATE_S = 60;

/** Nodes, versions and the prediction log. */
export const SERVING_CHECKS: Checks = {
  nodes: async ({ pool }) => {
    const { rows } = await pool.query<{ node: string; silent: boolean }>(
      `SELECT node, seen_at < now() - make_interval(secs => $1) AS silent FROM node ORDER BY node`,
      [NODE_SILENT_S],
    );
    const silent = rows.filter((row) => row.silent).map((row) => row.node);
    if (rows.length === silent.length) return ill('no compute node reports', 'start compute; see its log');
    return silent.length === 0
      ? well(`${rows.length} report`)
      : ill(
          `silent: ${silent.join(', ')}`,
          'restart them; rows of nodes that are gone for good may be deleted',
        );
  },
  'live versions': async ({ pool, store }) => {
    const { rows } = await pool.query<{ model: string; version: number; bundle: string }>(
      `SELECT v.model, v.version, v.bundle_sha256 AS bundle
       FROM model JOIN model_version v ON v.model = model.name AND v.version = model.live_version`,
    );
    const keys: string[] = [];
    for await (const { key } of store.list('')) keys.push(key);
    const missing = rows.filter((row) => !keys.some((key) => key.includes(row.bundle)));
    if (missing.length > 0)
      return ill(
        `bundles are missing: ${missing.map(({ model, version }) => `${model} ${version}`).join(', ')}`,
        'restore the store from a backup, or push and promote again',
      );
    return well(`${rows.length} live, their bundles are in the store`);
  },
  'failed versions': async ({ pool }) => {
    const { rows } = await pool.query<{ node: string; model: string; version: number; detail: string }>(
      `SELECT node, model, version, detail FROM node_version WHERE state = 'failed' ORDER BY 1, 2, 3 LIMIT 5`,
    );
    const says = rows.map((row) => `${row.model} ${row.version} on ${row.node}: ${row.detail}`).join('; ');
    return rows.length === 0 ? well('none') : ill(says, '`hotloop model show MODEL` says more');
  },
  'prediction log': async ({ pool }) => {
    const { rows } = await pool.query<{ late: number }>(
      `SELECT extract(epoch FROM now() - at)::integer AS late FROM journal_position ORDER BY at DESC LIMIT 1`,
    );
    const newest = rows[0];
    if (!newest) return well('nothing shipped yet');
    return newest.late <= LOG_LATE_S
      ? well(`shipped ${newest.late} s ago`)
      : well(`nothing to ship for ${newest.late} s; if there is traffic, see the log of compute`);
  },
  rollouts: async ({ pool }) => {
    const { rows } = await pool.query<{ model: string; state: string }>(
      `SELECT model, state FROM rollout WHERE ended_at IS NULL AND due_at < now() - interval '2 minutes'
         AND coalesce(lease_until, due_at) < now() - interval '2 minutes' LIMIT 5`,
    );
    return rows.length === 0
      ? well('none stands still')
      : ill(
          `not driven by any retrainer: ${rows.map(({ model, state }) => `${model} (${state})`).join(', ')}`,
          'start a retrainer; see its log',
        );
  },
};
