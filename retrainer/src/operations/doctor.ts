import { statfs } from 'node:fs/promises';
import type { ObjectStore } from '@hotloop/platform/object-store/object-store.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';

export interface Finding {
  readonly check: string;
  readonly ok: boolean;
  /** What was found. */
  readonly says: string;
  /** What to do; empty when all is well. */
  readonly remedy: string;
}

export interface Patient {
  readonly pool: Pool;
  readonly store: ObjectStore;
  /** Folder whose disk is looked at; undefined when the store is elsewhere. */
  readonly folder: string | undefined;
  /** Opens a connection to each Redis; throws when it cannot be used for its role. */
  readonly redis: Readonly<Record<'cache' | 'queue', () => Promise<void>>>;
}

const NODE_SILENT_S = 30;
const LOG_LATE_S = 60;
const LEAST_FREE_SHARE = 0.1;

type Check = (patient: Patient) => Promise<Omit<Finding, 'check'>>;

const well = (says: string) => ({ ok: true, says, remedy: '' });
const ill = (says: string, remedy: string) => ({ ok: false, says, remedy });

/** Every check by name. A check that throws is a finding too. */
const CHECKS: Readonly<Record<string, Check>> = {
  postgres: async ({ pool }) => {
    const { rows } = await pool.query<{ name: string }>('SELECT max(name) AS name FROM schema_migration');
    return well(`answers; newest migration ${rows[0]?.name ?? 'none'}`);
  },
  'redis cache': async ({ redis }) => {
    await redis.cache();
    return well('answers');
  },
  'redis queue': async ({ redis }) => {
    await redis.queue();
    return well('answers, and keeps what it holds (noeviction)');
  },
  store: async ({ store }) => {
    const key = 'doctor/probe';
    await store.put(key, Buffer.from('probe'));
    await store.remove(key);
    return well('can be written and read');
  },
  disk: async ({ folder }) => {
    if (folder === undefined) return well('the store is not on this machine');
    const { bavail, blocks } = await statfs(folder);
    const share = bavail / blocks;
    const says = `${Math.round(share * 100)} % of the disk is free`;
    return share >= LEAST_FREE_SHARE
      ? well(says)
      : ill(says, 'free space, or shorten `log.keep` in model.yaml');
  },
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
    const { rows } = await pool.query<{ model: string; version: number; bundle: string; ready: string }>(
      `SELECT v.model, v.version, v.bundle_sha256 AS bundle,
         (SELECT count(*) FROM node_version n WHERE n.model = v.model AND n.version = v.version AND n.state = 'ready') AS ready
       FROM model JOIN model_version v ON v.model = model.name AND v.version = model.live_version`,
    );
    const keys = new Set<string>();
    for await (const { key } of store.list('')) keys.add(key);
    const missing = rows.filter((row) => ![...keys].some((key) => key.includes(row.bundle)));
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
    const { rows } = await pool.query<{ journal: string; late: number }>(
      `SELECT journal, extract(epoch FROM now() - at)::integer AS late FROM journal_position ORDER BY at DESC LIMIT 1`,
    );
    const newest = rows[0];
    if (!newest) return well('nothing shipped yet');
    return newest.late <= LOG_LATE_S
      ? well(`shipped ${newest.late} s ago`)
      : well(`nothing to ship for ${newest.late} s; if there is traffic, see the log of compute`);
  },
  'dead letters': async ({ pool }) => {
    const { rows } = await pool.query<{ topic: string; messages: string }>(
      `SELECT topic, count(*) AS messages FROM set_aside WHERE at > now() - interval '1 day' GROUP BY topic ORDER BY 1`,
    );
    const says = rows.map(({ topic, messages }) => `${topic}: ${messages}`).join(', ');
    return rows.length === 0
      ? well('none in a day')
      : ill(`in a day: ${says}`, 'the column `error` of table set_aside says what could not be read');
  },
};

/** Runs every check, each by itself: one that fails does not hide the others. Never rejects. */
export async function examine(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [check, run] of Object.entries(CHECKS)) {
    const finding = await run(patient).catch((error: unknown) =>
      ill(
        error instanceof HotloopError ? error.message : toHotloopError(error).message,
        `see that its address is right and that it runs`,
      ),
    );
    findings.push({ check, ...finding });
  }
  return findings;
}
