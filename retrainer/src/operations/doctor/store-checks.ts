import { statfs } from 'node:fs/promises';
import { missingMigrations } from '@hotloop/platform/postgres/migrate.ts';
import { topicsOfModels } from '@hotloop/platform/registry/reference-usage.ts';
import { type Checks, ill, well } from './check.ts';

const LEAST_FREE_SHARE = 0.1;
const MOST_CLOCK_MS = 1_000;
const MOST_CONNECTIONS = 0.8;
/** With more dead rows than this, autovacuum is not keeping up. */
const MOST_DEAD_SHARE = 0.4;
const LEAST_DEAD = 100_000;

/** Postgres, Redis, Kafka, the store and the disk. */
export const STORE_CHECKS: Checks = {
  postgres: async ({ pool }) => {
    const { rows } = await pool.query<{ name: string; version: string }>(
      `SELECT max(name) AS name, current_setting('server_version') AS version FROM schema_migration`,
    );
    const missing = await missingMigrations(pool);
    return missing.length === 0
      ? well(`${rows[0]?.version} answers; newest migration ${rows[0]?.name ?? 'none'}`)
      : ill(
          `this version's migrations are missing: ${missing.join(', ')}`,
          'start a service of this version, or run the migrations (`helm upgrade` does)',
        );
  },
  connections: async ({ pool }) => {
    const { rows } = await pool.query<{ used: number; most: number }>(
      `SELECT (SELECT count(*)::int FROM pg_stat_activity) AS used, current_setting('max_connections')::int AS most`,
    );
    const { used = 0, most = 1 } = rows[0] ?? {};
    return used < most * MOST_CONNECTIONS
      ? well(`${used} of ${most} in use`)
      : ill(
          `${used} of ${most} in use`,
          'raise max_connections, or put PgBouncer between (session mode for the listeners)',
        );
  },
  vacuum: async ({ pool }) => {
    const { rows } = await pool.query<{ table: string; dead: number }>(
      `SELECT relname AS table, n_dead_tup::int AS dead FROM pg_stat_user_tables
       WHERE n_dead_tup > $1::bigint AND n_dead_tup > $2::float8 * (n_live_tup + n_dead_tup) ORDER BY n_dead_tup DESC LIMIT 3`,
      [LEAST_DEAD, MOST_DEAD_SHARE],
    );
    return rows.length === 0
      ? well('no table with many dead rows')
      : ill(
          `dead rows: ${rows.map(({ table, dead }) => `${table} ${dead}`).join(', ')}`,
          'see that autovacuum is on and that no transaction is open for hours (pg_stat_activity)',
        );
  },
  clock: async ({ pool }) => {
    const before = Date.now();
    const { rows } = await pool.query<{ ms: number }>(
      'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS ms',
    );
    const after = Date.now();
    const there = rows[0]?.ms ?? before;
    const off = Math.round(Math.max(0, before - there, there - after));
    return off <= MOST_CLOCK_MS
      ? well(`within ${MOST_CLOCK_MS} ms of Postgres`)
      : ill(`${off} ms away from Postgres`, 'synchronize the clocks of all machines (chrony, ntpd)');
  },
  'redis cache': async ({ redis }) => {
    await redis.cache();
    return well('answers');
  },
  'redis queue': async ({ redis }) => {
    await redis.queue();
    return well('answers, and keeps what it holds (noeviction)');
  },
  kafka: async ({ pool, topics }) => {
    if (topics === undefined) return well('no broker is set (KAFKA_BROKERS)');
    const there = new Set(await topics());
    const missing = (await topicsOfModels(pool)).filter((topic) => !there.has(topic));
    return missing.length === 0
      ? well(`answers; ${there.size} topics`)
      : ill(
          `topics that models name and the broker has not: ${missing.join(', ')}`,
          'create them, or let the broker create topics by itself',
        );
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
      : ill(says, 'free space, or shorten `log.retention` in model.yaml');
  },
};
