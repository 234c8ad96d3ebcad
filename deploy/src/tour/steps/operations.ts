import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { verifyLedger } from '@hotloop/retrainer/ledger/ledger.ts';
import { expectThat } from '../tour-failure.ts';
import type { TourStep } from '../tour-step.ts';

const examined: TourStep = {
  name: 'doctor',
  about: 'The doctor checks every part and reports what it found.',
  async run(context) {
    const dir = dirname(context.local.logFolder);
    const { out } = await context.command('doctor', '--dir', dir, '--json');
    const findings = JSON.parse(out) as { check: string; ok: boolean; says: string }[];
    const stores = findings.filter(({ check }) =>
      ['postgres', 'redis cache', 'redis queue', 'store'].includes(check),
    );
    expectThat(stores.length === 4 && stores.every(({ ok }) => ok), 'all stores to answer', out.trim());
    return `${findings.length} checks, ${findings.filter(({ ok }) => ok).length} well`;
  },
};

const keys: TourStep = {
  name: 'api-keys',
  about: 'A key is made, listed without itself, and revoked.',
  async run(context) {
    const dir = dirname(context.local.logFolder);
    const made = await context.json<{ id: string; key: string }>(
      'keys',
      'create',
      'shop',
      '--role',
      'predict',
      '--dir',
      dir,
    );
    const { out } = await context.command('keys', 'list', '--dir', dir);
    expectThat(out.includes(made.id) && !out.includes(made.key), 'a list without the key itself', out.trim());
    await context.json('keys', 'revoke', made.id, '--yes', '--dir', dir);
    return 'made, listed and revoked';
  },
};

const backup: TourStep = {
  name: 'backup',
  about: 'All stored data is backed up while the services run.',
  async run(context) {
    const dir = dirname(context.local.logFolder);
    const folder = join(context.folder, 'backup');
    const { tables, objects } = await context.json<{ tables: number; objects: number }>(
      'backup',
      folder,
      '--dir',
      dir,
    );
    expectThat(
      tables > 10 && objects > 0,
      'tables and objects in the backup',
      `${tables} tables, ${objects} objects`,
    );
    return `${tables} tables, ${objects} objects`;
  },
};

const restore: TourStep = {
  name: 'restore',
  about: 'The backup is put back into an empty database and an empty store, with the ledger intact.',
  async run(context) {
    const environment = JSON.parse(
      await readFile(join(dirname(context.local.logFolder), 'environment.json'), 'utf8'),
    ) as Record<string, string>;
    const database = 'restored';
    await context.pool.query(`CREATE DATABASE ${database}`);
    const url = new URL(context.local.backing.databaseUrl);
    url.pathname = database;
    const store = join(context.folder, 'restored-store');
    await context.write(
      'restored/environment.json',
      JSON.stringify({ ...environment, DATABASE_URL: url.href, HOTLOOP_STORE: store }),
    );
    const folder = join(context.folder, 'backup');
    await context.json('restore', folder, '--dir', join(context.folder, 'restored'));
    await using restored = openPool(url.href, {
      ...{ max: 1, queryTimeoutMs: 20_000, application: 'hotloop-tour', log: silentLog() },
    });
    const versions = async (pool: Pool) => {
      const { rows } = await pool.query<{ versions: string }>(
        'SELECT count(*) AS versions FROM model_version',
      );
      return Number(rows[0]?.versions);
    };
    const [now, then] = [await versions(context.pool), await versions(restored)];
    expectThat(then > 0 && then <= now, 'the versions of the backup', `${then} of ${now} are there`);
    const ledger = await verifyLedger(restored);
    expectThat(ledger.broken === null, 'a ledger whose chain holds', JSON.stringify(ledger.broken));
    return `${then} versions and ${ledger.rows} ledger entries restored`;
  },
};

const forget: TourStep = {
  name: 'forget',
  about: 'A user is forgotten: nothing of them is left in the log.',
  async run(context) {
    const dir = dirname(context.local.logFolder);
    const user = 'user-to-forget';
    await context.client.predict('churn', { user, request: { visits: 1, plan: 'pro' } });
    const logged = async () => {
      const { rowCount } = await context.pool.query(
        `SELECT FROM prediction WHERE entities @> jsonb_build_object('user', $1::text)`,
        [user],
      );
      return rowCount ?? 0;
    };
    await context.until('the prediction in the log', async () => ((await logged()) > 0 ? true : undefined));
    const { erased } = await context.json<{ erased: { predictions: number } }>(
      'forget',
      'user',
      user,
      '--yes',
      '--again-after',
      '0',
      '--dir',
      dir,
    );
    expectThat((await logged()) === 0, 'no prediction of theirs', 'there is one');
    return `${erased.predictions} predictions erased`;
  },
};

const projects: TourStep = {
  name: 'projects',
  about: 'A team gets a project and a key that reaches nothing else.',
  async run(context) {
    const dir = dirname(context.local.logFolder);
    const limits = ['--per-second', '500', '--max-models', '5'];
    await context.json('projects', 'create', 'shop', ...limits, '--dir', dir);
    const role = ['--role', 'predict', '--project', 'shop'];
    const { id } = await context.json<{ id: string }>('keys', 'create', 'team', ...role, '--dir', dir);
    const { out } = await context.command('keys', 'list', '--dir', dir);
    expectThat(out.includes('shop-...'), 'a key that reaches shop-... alone', out.trim());
    await context.json('keys', 'revoke', id, '--yes', '--dir', dir);
    return 'a project with a quota, and a key of it';
  },
};

const support: TourStep = {
  name: 'support-bundle',
  about: 'Diagnostics for support are gathered into one file, without secrets.',
  async run(context) {
    const dir = dirname(context.local.logFolder);
    const file = join(context.folder, 'support.tar.gz');
    const { files } = await context.json<{ files: string[] }>('support-bundle', file, '--dir', dir);
    expectThat(files.includes('doctor.json'), 'findings in the bundle', files.join(', '));
    return `${files.length} files`;
  },
};

export const OPERATIONS_STEPS: readonly TourStep[] = [
  examined,
  keys,
  projects,
  backup,
  restore,
  forget,
  support,
];
