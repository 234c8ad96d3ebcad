import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BackingServiceError } from './backing-service-error.ts';
import { freePort } from './free-port.ts';
import { keepRunning } from './keep-running.ts';
import { type ServerProcess, type ServerProcessOptions, startServerProcess } from './server-process.ts';
import type { SystemProgram } from './system-programs.ts';
import type { Watchdog } from './watchdog.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;
const PORT_ATTEMPTS = 3;

/** The cache may evict old keys; the queue rejects writes instead of losing data. */
export type RedisRole = 'cache' | 'queue';

const ROLE_SETTINGS: Record<RedisRole, readonly string[]> = {
  cache: ['maxmemory 256mb', 'maxmemory-policy allkeys-lru', 'appendonly no'],
  queue: ['maxmemory-policy noeviction', 'appendonly yes', 'appendfsync everysec'],
};

export interface RedisOptions {
  /** Used only by this server while it runs: its configuration (0600), the append-only file, the process record. */
  readonly dir: string;
  readonly role: RedisRole;
  readonly program: SystemProgram;
  /** Number of logical databases; Redis' default is 16. */
  readonly databases?: number | undefined;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
}

/** Disposing stops the server; the queue's append-only file is complete then. */
export interface RunningRedis extends AsyncDisposable {
  /** `redis://:password@127.0.0.1:port` */
  readonly url: string;
  readonly pid: number;
}

/** Runs Redis (or Valkey) on 127.0.0.1 with a random password. Throws START_FAILED with the server's last messages. */
export async function startRedis(options: RedisOptions, signal: AbortSignal): Promise<RunningRedis> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true });
  const password = randomBytes(24).toString('base64url');
  const { server, port, restart } = await startOnFreePort(options, dir, password, signal);
  const kept = keepRunning(server, { name: `Redis (${options.role})`, start: restart, log: options.log });
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    get pid() {
      return kept.pid;
    },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}

interface StartedServer {
  readonly server: ServerProcess<true>;
  readonly port: number;
  /** Starts it again, at the same port. */
  readonly restart: (signal: AbortSignal) => Promise<ServerProcess<true>>;
}

async function startOnFreePort(
  options: RedisOptions,
  dir: string,
  password: string,
  signal: AbortSignal,
): Promise<StartedServer> {
  const configuration = join(dir, 'redis.conf');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    // In a file and not on the command line, where every user of the machine could read the password.
    await writeFile(configuration, configurationText(options, dir, password, port), { mode: 0o600 });
    try {
      const settled: ServerProcessOptions<true> = {
        name: `Redis (${options.role})`,
        command: options.program.command,
        args: [configuration],
        env: options.program.env,
        cwd: dir,
        recordFile: join(dir, 'process.json'),
        ready: (line) => line.includes('Ready to accept connections') || undefined,
        startTimeoutMs: START_TIMEOUT_MS,
        stopSignal: 'SIGTERM',
        stopTimeoutMs: STOP_TIMEOUT_MS,
        watchdog: options.watchdog,
        log: options.log,
      };
      const restart = (again: AbortSignal) => startServerProcess(settled, again);
      return { server: await restart(signal), port, restart };
    } catch (error) {
      const taken = error instanceof BackingServiceError && error.message.includes('Address already in use');
      if (!taken || attempt >= PORT_ATTEMPTS) throw error;
    }
  }
}

function configurationText(options: RedisOptions, dir: string, password: string, port: number): string {
  const lines = [
    'bind 127.0.0.1',
    `port ${port}`,
    `requirepass ${password}`,
    `dir "${dir.replace(/["\\]/g, '\\$&')}"`,
    'save ""',
    'daemonize no',
    'logfile ""',
    `databases ${options.databases ?? 16}`,
    ...ROLE_SETTINGS[options.role],
  ];
  return `${lines.join('\n')}\n`;
}
