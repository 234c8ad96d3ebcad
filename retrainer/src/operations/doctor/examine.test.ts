import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiKeyStore } from '@hotloop/platform/auth/api-key-store.ts';
import { makeTestCertificates } from '@hotloop/platform/testing/test-certificates.ts';
import { DAY_MS } from '@hotloop/proto/time-units.ts';
import { expect, it } from 'vitest';
import { linearModel, makeLive, manifestText, openStores, push, type Stores } from '../../testing/fixture.ts';
import { recordAct } from '../record-act.ts';
import type { Patient } from './check.ts';
import { examine } from './examine.ts';

const away = async () => {
  throw new Error('connect ECONNREFUSED');
};
const sql = (text: string) => async (stores: Stores) => {
  await stores.pool.query(text);
  return undefined;
};
const keyFor =
  (days: number) =>
  async ({ pool }: Stores) => {
    const expiresAt = new Date(Date.now() + days * DAY_MS);
    await new ApiKeyStore(pool).create({ subject: 'shop', roles: ['predict'], expiresAt });
    return undefined;
  };
const RUN = '018bcfe5-6800-7000-8000-00000000000f';

/** What is broken, how, the check that must find it, and a word of its remedy. */
const BROKEN: readonly [
  what: string,
  (stores: Stores) => Promise<Partial<Patient> | undefined>,
  check: string,
  remedy: string,
][] = [
  [
    'a migration is missing',
    sql(`DELETE FROM schema_migration WHERE name LIKE '0027-%'`),
    'postgres',
    'migrations',
  ],
  [
    'the cache is away',
    async () => ({ redis: { cache: away, queue: async () => undefined } }),
    'redis cache',
    'address',
  ],
  [
    'the queue is away',
    async () => ({ redis: { cache: async () => undefined, queue: away } }),
    'redis queue',
    'address',
  ],
  ['Kafka is away', async () => ({ topics: away }), 'kafka', 'address'],
  ['a topic of a model is missing', async () => ({ topics: async () => [] }), 'kafka', 'create them'],
  [
    'the store refuses writes',
    async ({ objects }) => ({ store: Object.assign(Object.create(objects), { put: away }) }),
    'store',
    'address',
  ],
  [
    'a bundle is missing',
    async ({ objects }) => {
      for await (const { key } of objects.list('')) await objects.remove(key);
      return undefined;
    },
    'live versions',
    'restore the store',
  ],
  ['no compute reports', sql('DELETE FROM node'), 'nodes', 'start compute'],
  [
    'a node is silent',
    sql(`INSERT INTO node VALUES ('n', now()), ('gone', now() - interval '1 hour')`),
    'nodes',
    'restart them',
  ],
  [
    'a version does not load',
    sql(
      `INSERT INTO node_version (node, model, version, state, detail) VALUES ('n', 'm', 1, 'failed', 'memory')`,
    ),
    'failed versions',
    'model show',
  ],
  [
    'a rollout stands still',
    sql(`INSERT INTO rollout (rollout_id, model, version, action, mode, plan, state, salt, generation, actor, due_at)
    VALUES ('${RUN}', 'm', 1, 'promote', 'at_once', '{}', 'warming', '', 1, 'ops', now() - interval '1 hour')`),
    'rollouts',
    'start a retrainer',
  ],
  [
    'a run has waited for long',
    sql(
      `INSERT INTO training_run (run_id, model, key, state, created_at) VALUES ('${RUN}', 'm', 'k', 'queued', now() - interval '1 hour')`,
    ),
    'training runs',
    'hotloop worker',
  ],
  [
    'messages cannot be read',
    sql(
      `INSERT INTO set_aside (consumer, topic, "partition", "offset", error) VALUES ('c', 't', 0, 1, 'no JSON')`,
    ),
    'dead letters',
    'set_aside',
  ],
  [
    'outcomes by SQL fail',
    sql(`INSERT INTO outcome_source (model, query_sha256, error) VALUES ('m', '', 'no such table')`),
    'outcomes by SQL',
    'outcome.from.sql',
  ],
  [
    'the monitor is silent',
    sql(`UPDATE monitor_position SET heartbeat_at = now() - interval '1 hour'`),
    'monitor',
    'start a retrainer',
  ],
  [
    'an incident is open',
    sql(`INSERT INTO incident (id, model, cause, state, severity, title, signals, opened_at, updated_at)
    VALUES ('${RUN}', 'm', 'price', 'open', 'warning', 'price drifted', '[]', now(), now())`),
    'incidents',
    'runbooks',
  ],
  ['a key expires soon', keyFor(3), 'API keys', 'rotate'],
  ['a key has expired', keyFor(-1), 'API keys', 'revoke'],
  [
    'the ledger was changed',
    async ({ pool }) => {
      await pool.query('ALTER TABLE ledger DISABLE TRIGGER USER');
      await pool.query(
        `UPDATE ledger SET actor = 'another' WHERE sequence = (SELECT min(sequence) FROM ledger)`,
      );
      return undefined;
    },
    'ledger',
    'backup',
  ],
  [
    'the last backup is old',
    async ({ pool }) => {
      await recordAct(pool, 'backup', {}, Date.now() - 30 * DAY_MS);
      return undefined;
    },
    'backup',
    'hotloop backup',
  ],
];

/** A model that is live and reads a topic, and a node that reports: all is well. */
async function wellStores(): Promise<Stores> {
  const stores = await openStores();
  const version = await push(
    stores,
    manifestText('m', 'outcome: {from: kafka:buys, join: [user]}\n'),
    linearModel(),
  );
  await makeLive(stores, 'm', version);
  await stores.pool.query(`INSERT INTO node VALUES ('node-0', now()) ON CONFLICT DO NOTHING`);
  await stores.pool.query('UPDATE monitor_position SET heartbeat_at = now()');
  return stores;
}

const patientOf = ({ pool, objects }: Stores): Patient => ({
  ...{ pool, store: objects, folder: undefined, topics: async () => ['buys'] },
  redis: { cache: async () => undefined, queue: async () => undefined },
});

it('finds nothing in an installation that is well', async () => {
  await using stores = await wellStores();
  expect((await examine(patientOf(stores))).filter(({ ok }) => !ok)).toEqual([]);
});

it.each(BROKEN)('finds that %s, and says what to do', async (_, break_, check, remedy) => {
  await using stores = await wellStores();
  const changed = (await break_(stores)) ?? {};
  const findings = (await examine({ ...patientOf(stores), ...changed })).filter(({ ok }) => !ok);
  expect(findings.find((finding) => finding.check === check)?.remedy).toContain(remedy);
});

it('finds a certificate that expires soon, or is no certificate', async () => {
  await using stores = await wellStores();
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-doctor-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { certificate } = await makeTestCertificates(folder);
  const broken = join(folder, 'broken.crt');
  await writeFile(broken, 'none');
  const found = async (path: string) =>
    (await examine({ ...patientOf(stores), certificate: path })).find(({ check }) => check === 'certificate');
  expect(await found(certificate)).toMatchObject({ ok: false, remedy: expect.stringContaining('renew') });
  expect(await found(broken)).toMatchObject({ ok: false });
});
