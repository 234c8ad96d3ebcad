import { type FileHandle, open, readdir } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import type { Finding } from '../doctor/check.ts';
import { describeEnvironment, scrubSecrets, secretsOf } from './scrub-secrets.ts';

/** The sources of a support bundle. */
export interface SupportSources {
  readonly pool: Pool;
  readonly findings: readonly Finding[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Log folder of services on this machine; undefined if logs are elsewhere. */
  readonly logFolder: string | undefined;
  readonly version: string;
  /** Current time in milliseconds since 1970. */
  readonly now: number;
}

const LOG_TAIL_BYTES = 512 * 1024;

/** Queries on Postgres: states and counts, never features, outputs, outcomes, entities or manifests. */
const QUERIES: Readonly<Record<string, string>> = {
  'migrations.json': 'SELECT name, applied_at FROM schema_migration ORDER BY name',
  'settings-postgres.json': `SELECT name, setting, unit FROM pg_settings WHERE name IN ('server_version', 'max_connections',
    'shared_buffers', 'work_mem', 'autovacuum', 'max_wal_size', 'synchronous_commit', 'TimeZone', 'statement_timeout')`,
  'tables.json': `SELECT relname AS table, n_live_tup AS rows, n_dead_tup AS dead, last_autovacuum, pg_total_relation_size(relid) AS bytes
    FROM pg_stat_user_tables ORDER BY bytes DESC LIMIT 200`,
  'models.json':
    'SELECT name, live_version, previous_version, target_version, generation, created_at FROM model ORDER BY name',
  'versions.json': `SELECT model, version, bundle_sha256, onnx_sha256, parent_version, created_at, archived_at FROM model_version
    ORDER BY created_at DESC LIMIT 500`,
  'nodes.json': 'SELECT * FROM node ORDER BY node',
  'node-versions.json':
    'SELECT node, model, version, state, memory_bytes, reason, detail, seen_at FROM node_version ORDER BY 1, 2, 3',
  'journals.json': 'SELECT * FROM journal_position ORDER BY at DESC LIMIT 100',
  'rollouts.json': `SELECT rollout_id, model, version, action, mode, state, step, message, created_at, state_at, ended_at FROM rollout
    ORDER BY created_at DESC LIMIT 100`,
  'runs.json': `SELECT run_id, model, kind, state, message, version, examples, progress, created_at, started_at, ended_at FROM training_run
    ORDER BY created_at DESC LIMIT 100`,
  'batches.json':
    'SELECT run_id, model, version, state, message, rows, created_at, ended_at FROM batch_run ORDER BY created_at DESC LIMIT 100',
  'incidents.json': `SELECT id, model, cause, state, severity, title, opened_at, closed_at FROM incident ORDER BY opened_at DESC LIMIT 100`,
  'counts.json': `SELECT (SELECT coalesce(sum(predictions), 0) FROM logged_count) AS predictions,
    (SELECT coalesce(sum(outcomes), 0) FROM outcome_count) AS outcomes, (SELECT count(*) FROM set_aside) AS dead_letters`,
};

/**
 * Returns the files of a support bundle: name -> text. No personal data is read, and every text passes through `scrubSecrets`. If a
 * source cannot be read, its file contains the error.
 */
export async function collectSupport(sources: SupportSources): Promise<ReadonlyMap<string, string>> {
  const { pool, environment, findings, version, now, logFolder } = sources;
  const known = secretsOf(environment);
  const files = new Map<string, string>();
  const add = (name: string, value: unknown) =>
    files.set(
      name,
      scrubSecrets(typeof value === 'string' ? value : `${JSON.stringify(value, null, 2)}\n`, known),
    );
  add('about.json', {
    at: new Date(now).toISOString(),
    hotloop: version,
    node: process.version,
    system: `${process.platform} ${process.arch} ${release()}`,
  });
  add('environment.json', describeEnvironment(environment));
  add('doctor.json', findings);
  for (const [name, sql] of Object.entries(QUERIES)) {
    const rows = await pool.query(sql).then(
      (result) => result.rows as unknown[],
      (error: unknown) => ({ error: error instanceof Error ? error.message : 'unknown' }),
    );
    add(name, rows);
  }
  if (logFolder !== undefined)
    for (const name of await readdir(logFolder).catch(() => []))
      if (name.endsWith('.log')) add(`logs/${name}`, await tailOf(join(logFolder, name)));
  return files;
}

/** The end of a file, beginning with a whole line. */
async function tailOf(path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    const { size } = await file.stat();
    const from = Math.max(0, size - LOG_TAIL_BYTES);
    const bytes = Buffer.alloc(size - from);
    await file.read(bytes, 0, bytes.length, from);
    const text = bytes.toString('utf8');
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } catch (error) {
    return `cannot be read: ${error instanceof Error ? error.message : 'unknown'}\n`;
  } finally {
    await file?.close();
  }
}
