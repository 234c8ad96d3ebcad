import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { freePort } from './free-port.ts';
import { keepRunning } from './keep-running.ts';
import {
  POSTGRES_ENVIRONMENT,
  POSTGRES_USER,
  type PostgresCluster,
  preparePostgresCluster,
} from './postgres-cluster.ts';
import { endRecordedProcess } from './process-record.ts';
import { runCommand } from './run-command.ts';
import { type ServerProcess, type ServerProcessOptions, startServerProcess } from './server-process.ts';
import type { Watchdog } from './watchdog.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;
const PROBE_TIMEOUT_MS = 10_000;
const PORT_ATTEMPTS = 3;
/** Fast shutdown: ends open sessions, then writes a checkpoint. */
const STOP_SIGNAL = 'SIGINT';

/** Suitable for a laptop; the names are postgresql.conf's. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '128MB',
  log_checkpoints: 'off',
};

export interface PostgresOptions {
  /** Used only by this server while it runs: the data, the password (0600), the process record. */
  readonly dir: string;
  /** Additional settings of postgresql.conf, for example `{ fsync: 'off' }` for tests. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /**
   * Where finished files of the write-ahead log are copied, at the latest a minute after they were started. Default:
   * nowhere.
   */
  readonly walFolder?: string | undefined;
  /** Default: a minute. */
  readonly startTimeoutMs?: number;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
}

/** Disposing stops the server at once: open connections are closed, nothing committed is lost. */
export interface RunningPostgres extends AsyncDisposable {
  /** `postgres://user:password@127.0.0.1:port/postgres` */
  readonly url: string;
  readonly pid: number;
}

/**
 * Runs a real Postgres on 127.0.0.1 from the programs installed by npm. The first start in `dir` initialises it,
 * later ones reuse its data. Throws START_FAILED with Postgres' last messages.
 */
export async function startPostgres(options: PostgresOptions, signal: AbortSignal): Promise<RunningPostgres> {
  const dir = resolve(options.dir);
  const cluster = await preparePostgresCluster({ dir, fsync: options.settings?.fsync !== 'off' }, signal);
  const recordFile = join(dir, 'process.json');
  await endRecordedProcess(recordFile, STOP_SIGNAL);
  // The folder is ours and its server is gone: a lock file left here could only refer to an unrelated process.
  await rm(join(cluster.data, 'postmaster.pid'), { force: true });
  const archiving =
    options.walFolder === undefined ? {} : await archiveSettings(options.walFolder, cluster, signal);
  const settings = { ...archiving, ...options.settings };
  const { server, port, restart } = await startOnFreePort(
    { ...options, settings },
    ...([cluster, recordFile, signal] as const),
  );
  const kept = keepRunning(server, { name: 'Postgres', start: restart, log: options.log });
  return {
    url: `postgres://${POSTGRES_USER}:${cluster.password}@127.0.0.1:${port}/postgres`,
    get pid() {
      return kept.pid;
    },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

/**
 * Makes the folder, which Postgres's account must be able to write to. Throws START_FAILED where it is not, and for a path
 * that a shell would read otherwise.
 */
async function archiveSettings(
  folder: string,
  { account }: PostgresCluster,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const wal = resolve(folder);
  if (/['\\%]/.test(wal))
    throw new BackingServiceError(
      'START_FAILED',
      `an archive cannot be in ${wal}: choose a name without ' % and \\`,
    );
  // The account enters what is made here, and sees nothing but its own folder.
  await mkdir(wal, { recursive: true, mode: 0o711 });
  await chmod(wal, 0o700);
  if (account.owner) await chown(wal, account.owner.uid, account.owner.gid);
  const [command = '/bin/sh', ...args] = [...account.prefix, '/bin/sh', '-c', 'test -w "$1"', 'sh', wal];
  const as = { uid: account.spawnAs?.uid, gid: account.spawnAs?.gid };
  const { code } = await runCommand(command, args, { ...as, timeoutMs: PROBE_TIMEOUT_MS, cwd: '/' }, signal);
  if (code !== 0)
    throw new BackingServiceError(
      'START_FAILED',
      `Postgres may not write to ${wal}: its account must be able to enter the folders above (chmod a+x)`,
    );
  return {
    archive_mode: 'on',
    // A file that is there was copied completely: it got its name after the copy. Postgres tries again until it succeeds.
    archive_command: `test -f '${wal}/%f' || (cp '%p' '${wal}/%f.part' && mv '${wal}/%f.part' '${wal}/%f')`,
    archive_timeout: '60s',
  };
}

interface StartedServer {
  readonly server: ServerProcess<true>;
  readonly port: number;
  /** Starts it again, at the same port. */
  readonly restart: (signal: AbortSignal) => Promise<ServerProcess<true>>;
}

async function startOnFreePort(
  options: PostgresOptions,
  cluster: PostgresCluster,
  recordFile: string,
  signal: AbortSignal,
): Promise<StartedServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const settings = Object.entries({ ...SETTINGS, ...options.settings, port: String(port) });
    const [command = cluster.postgres, ...args] = [
      ...cluster.account.prefix,
      cluster.postgres,
      '-D',
      cluster.data,
      ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ];
    try {
      const settled: ServerProcessOptions<true> = {
        name: 'Postgres',
        command,
        args,
        env: POSTGRES_ENVIRONMENT,
        uid: cluster.account.spawnAs?.uid,
        gid: cluster.account.spawnAs?.gid,
        cwd: '/',
        recordFile,
        ready: (line) => line.includes('database system is ready to accept connections') || undefined,
        startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
        stopSignal: STOP_SIGNAL,
        stopTimeoutMs: STOP_TIMEOUT_MS,
        watchdog: options.watchdog,
        log: options.log,
      };
      const restart = (again: AbortSignal) => startServerProcess(settled, again);
      return { server: await restart(signal), port, restart };
    } catch (error) {
      const taken = error instanceof BackingServiceError && error.message.includes('could not bind');
      if (!taken || attempt >= PORT_ATTEMPTS) throw error;
    }
  }
}
