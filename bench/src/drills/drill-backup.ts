import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from '@hotloop/client';
import type { Local } from '@hotloop/deploy/local/start-local.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import type { Pool } from '@hotloop/platform/postgres/pool.ts';
import { openRedis } from '@hotloop/platform/redis/redis.ts';
import { verifyLedger } from '@hotloop/retrainer/ledger/ledger.ts';
import { makeBackup } from '@hotloop/retrainer/operations/backup.ts';
import { openOperations } from '@hotloop/retrainer/operations/open-operations.ts';
import { type Figure, figure } from '../figure.ts';
import { benchFolder } from '../stand/bench-folder.ts';
import {
  type AcknowledgedAll,
  acknowledgingLoad,
  DRILL_MANIFEST,
  DRILL_MODEL,
  drillOnnx,
} from './backup/acknowledging-load.ts';
import { answersAgain, type BackupStand, command, startBackupStand, until } from './backup/backup-stand.ts';
import { type FoundText, findTextInFiles, findTextInRedis } from './backup/find-text.ts';
import { restoreToAMoment } from './backup/restore-to-a-moment.ts';
import type { Drill, DrillOptions } from './drill.ts';

const FORGOTTEN = 'person-to-forget-4711';
/** Postgres' and Redis' own files: deleted data stays there until it is overwritten; see docs/production.md. */
const BACKING_FILES = /^(data\/)?backing\//;

/**
 * A backup under load, everything deleted, and the backup restored: `restore_lost` counts acknowledged outcomes,
 * versions and ledger rows from before the backup that are missing. Then an entity with data everywhere is erased:
 * `forget_left` counts the bytes of its id in every table, object, key and file of Hotloop afterwards.
 */
export const drillBackup: Drill = async (options): Promise<Figure[]> => {
  await using folder = await benchFolder();
  const first = join(folder.path, 'first');
  const kept = join(folder.path, 'backup');
  const { acknowledged, ledger, at, backupMs } = await backUpUnderLoad(options, first, kept);
  options.say('deleting everything');
  await rm(first, { recursive: true, force: true, maxRetries: 5 });
  const second = join(folder.path, 'second');
  await using restored = await startBackupStand(second);
  const began = performance.now();
  await command(second, 'restore', kept);
  const restoreMs = performance.now() - began;
  const lost = await countLost(restored.pool, acknowledged, ledger, at);
  options.say(`restored: ${JSON.stringify(lost)}`);
  const answers = await answersAgain(restored.client);
  const left = await forgetEverywhere(options, restored, second);
  for (const { place, bytes } of left) options.say(`${bytes} bytes of the forgotten id in ${place}`);
  return [
    figure('restore_lost', [lost.outcomes + lost.versions + lost.ledger + (answers ? 0 : 1)], { atMost: 0 }),
    figure('forget_left', [left.reduce((sum, { bytes }) => sum + bytes, 0)], { atMost: 0 }),
    figure('restore_outcomes', [acknowledged.outcomes.filter((one) => one.at < at).length]),
    ...(await restoreToAMoment(join(folder.path, 'moment'), options.say)),
    figure('backup_ms', [backupMs]),
    figure('restore_ms', [restoreMs]),
  ];
};

interface BackedUp {
  readonly acknowledged: AcknowledgedAll;
  /** Hashes of ledger rows, as they were just before the backup. */
  readonly ledger: readonly string[];
  /** Time of the backup, in milliseconds since 1970. */
  readonly at: number;
  readonly backupMs: number;
}

async function backUpUnderLoad(
  { seconds, say }: DrillOptions,
  folder: string,
  kept: string,
): Promise<BackedUp> {
  await using stand = await startBackupStand(folder);
  const { client, local, pool } = stand;
  await declarePeople(local);
  const { version } = await client.models
    .push({ manifestYaml: DRILL_MANIFEST, onnx: drillOnnx(1) })
    .finished();
  await client.models.promote(DRILL_MODEL, version.version).finished();
  await answersAgain(client);
  const stop = new AbortController();
  const load = acknowledgingLoad(client, stop.signal);
  say(`load for ${seconds} s, with a backup in the middle`);
  await Promise.race([delay(seconds * 500), load]);
  const { rows } = await pool.query<{ hash: string }>('SELECT hash FROM ledger');
  const began = performance.now();
  const { at } = JSON.parse(await command(folder, 'backup', kept)) as { at: string };
  const backupMs = performance.now() - began;
  await Promise.race([delay(seconds * 500), load]);
  stop.abort();
  return {
    acknowledged: await load,
    ledger: rows.map(({ hash }) => hash),
    at: Date.parse(at),
    backupMs,
  };
}

async function declarePeople(local: Local): Promise<void> {
  const base = `http://${local.httpAddresses.preprocessor}/v1/tables/people`;
  await send(base, 'PUT', 'application/json', '{"key":"person","columns":{"age":{"type":"number"}}}');
  const rows = [FORGOTTEN, 'visitor-1'].map((person) => JSON.stringify({ person, age: 40 })).join('\n');
  await send(`${base}/versions`, 'POST', 'application/x-ndjson', `${rows}\n`);
}

async function send(url: string, method: string, type: string, body: string): Promise<void> {
  const response = await fetch(url, { method, headers: { 'content-type': type }, body });
  if (!response.ok) throw new Error(`${method} ${url} answered ${response.status}: ${await response.text()}`);
}

async function countLost(
  pool: Pool,
  { outcomes, versions }: AcknowledgedAll,
  ledger: readonly string[],
  at: number,
): Promise<{ outcomes: number; versions: number; ledger: number }> {
  const missing = (expected: readonly string[], found: readonly string[]) => {
    const known = new Set(found);
    return expected.filter((one) => !known.has(one)).length;
  };
  const before = (all: AcknowledgedAll['outcomes']) => all.filter((one) => one.at < at).map(({ id }) => id);
  const texts = async (sql: string) => (await pool.query<{ text: string }>(sql)).rows.map(({ text }) => text);
  const { broken } = await verifyLedger(pool);
  return {
    outcomes: missing(before(outcomes), await texts('SELECT id AS text FROM outcome')),
    versions: missing(before(versions), await texts('SELECT version::text AS text FROM model_version')),
    ledger: missing(ledger, await texts('SELECT hash AS text FROM ledger')) + (broken === null ? 0 : 1),
  };
}

/** Stores data about one person wherever that is possible, erases the person, and searches. */
async function forgetEverywhere(
  { say }: DrillOptions,
  { local, client, pool }: BackupStand,
  folder: string,
): Promise<FoundText[]> {
  say('leaving traces of one person');
  const event = (entity: Record<string, string>, data: object, id: string) => ({
    specversion: '1.0',
    id,
    source: '/drill',
    type: 'view',
    time: new Date().toISOString(),
    data: { entity, ...data },
  });
  const events = [
    event({ user: FORGOTTEN }, { price: 1 }, 'e1'),
    event({ item: 'i1' }, { seller: FORGOTTEN }, 'e2'),
  ];
  await send(
    `http://${local.httpAddresses.preprocessor}/v1/events`,
    'POST',
    'application/json',
    JSON.stringify(events),
  );
  for (let index = 0; index < 40; index++) {
    const { predictionId } = await client.predict(DRILL_MODEL, {
      user: index % 2 === 0 ? FORGOTTEN : `visitor-${index}`,
      request: { pages: index % 9 },
    });
    await client.recordOutcomes([
      { id: `report-${index}`, model: DRILL_MODEL, predictionId, value: index % 4 === 0 },
    ]);
  }
  await client.recordOutcomes([{ id: 'by-key', model: DRILL_MODEL, keys: { user: FORGOTTEN }, value: true }]);
  const logged = async (sql: string) =>
    Number((await pool.query<{ n: number }>(sql, [FORGOTTEN])).rows[0]?.n ?? 0);
  const PREDICTIONS = `SELECT count(*)::int AS n FROM prediction WHERE entities @> jsonb_build_object('user', $1::text)`;
  await until(async () => ((await logged(PREDICTIONS)) >= 20 ? true : undefined));
  const { out } = await backgroundRetrain(local);
  say(`retrained, so that a dataset contains the person: ${out}`);
  const before = await search(pool, local, folder);
  say(`before: the id is in ${before.length} places`);
  if (before.length < 5)
    throw new Error('the search finds too little: it would find nothing afterwards either');
  const forgotten = JSON.parse(
    await command(folder, 'forget', 'user', FORGOTTEN, '--yes', '--again-after', '45'),
  ) as { erased: Record<string, number>; datasets: string[] };
  say(`erased ${JSON.stringify(forgotten.erased)}, datasets ${forgotten.datasets.length}`);
  return search(pool, local, folder);
}

/** A run whose dataset contains the person; whether its version passes the gate does not matter here. */
async function backgroundRetrain(local: Local): Promise<{ out: string }> {
  const client = await connect({
    address: local.addresses.preprocessor,
    retrainerAddress: local.addresses.retrainer,
  });
  await using _client = client;
  const { runId } = await client.retrain(DRILL_MODEL, { reason: 'drill', hold: true });
  let state = '';
  for await (const run of client.runs.watch(runId)) state = run.state;
  return { out: state };
}

/** Every table (through a backup), every object, both Redis, and Hotloop's own files: journals, spools, logs. */
async function search(pool: Pool, local: Local, folder: string): Promise<FoundText[]> {
  const environment = JSON.parse(await readFile(join(folder, 'data', 'environment.json'), 'utf8')) as Record<
    string,
    string
  >;
  await using stores = openOperations(environment);
  await using scratch = await benchFolder();
  const copy = join(scratch.path, 'copy');
  await makeBackup({ pool, store: stores.store }, copy);
  const found = [
    ...(await findTextInFiles(FORGOTTEN, copy, /^$/)),
    ...(await findTextInFiles(FORGOTTEN, folder, BACKING_FILES)),
  ];
  for (const [role, url] of [
    ['cache', local.backing.redisCacheUrl],
    ['queue', local.backing.redisQueueUrl],
  ] as const) {
    await using redis = await openRedis(url, {
      commandTimeoutMs: 10_000,
      role,
      name: 'drill',
      log: silentLog(),
    });
    found.push(...(await findTextInRedis(FORGOTTEN, redis)));
  }
  return found;
}
