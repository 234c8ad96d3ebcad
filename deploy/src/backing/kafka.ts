import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startKafkaRelay } from './kafka-relay.ts';
import { keepRunning } from './keep-running.ts';
import { startServerProcess } from './server-process.ts';
import type { SystemProgram } from './system-programs.ts';
import type { Watchdog } from './watchdog.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

export interface KafkaOptions {
  /** Used only by this broker while it runs; contains only the process record. */
  readonly dir: string;
  /** kcat. */
  readonly program: SystemProgram;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
}

/** Disposing stops the broker, and with it every topic. */
export interface RunningKafka extends AsyncDisposable {
  /** `127.0.0.1:port`, the form of KAFKA_BROKERS. */
  readonly brokers: string;
  readonly pid: number;
}

/**
 * Runs librdkafka's single-node broker, which speaks the Kafka protocol and keeps everything in memory: topics are
 * created on first use with four partitions, each keeping its last 5 MB; nothing survives a restart.
 *
 * kcat is started as a producer that waits for input which never comes: the process that contains the broker then
 * costs nothing while idle (a consumer would fetch forever) and ends with its input, if this process dies. Its log
 * contains every request; it is read and discarded.
 *
 * When it dies it is restarted, empty. The broker chooses its own port, so a relay keeps the address that clients
 * know.
 */
export async function startKafka(options: KafkaOptions, signal: AbortSignal): Promise<RunningKafka> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true });
  const start = (again: AbortSignal) =>
    startServerProcess(
      {
        name: 'Kafka',
        command: options.program.command,
        args: ['-P', '-b', 'embedded', '-t', 'unused', '-X', 'test.mock.num.brokers=1', '-d', 'mock'],
        env: options.program.env,
        cwd: dir,
        holdInput: true,
        recordFile: join(dir, 'process.json'),
        ready: (line) => Number(/bootstrap\.servers=127\.0\.0\.1:(\d+)/.exec(line)?.[1]) || undefined,
        startTimeoutMs: START_TIMEOUT_MS,
        stopSignal: 'SIGTERM',
        stopTimeoutMs: STOP_TIMEOUT_MS,
        watchdog: options.watchdog,
        log: options.log,
      },
      again,
    );
  const first = await start(signal);
  await using opened = new AsyncDisposableStack();
  const relay = opened.use(await startKafkaRelay());
  relay.moveTo(first.ready);
  const kept = opened.use(
    keepRunning(first, {
      name: 'Kafka',
      start: async (again) => {
        const server = await start(again);
        relay.moveTo(server.ready);
        options.log('Kafka: topics are kept in memory and start empty');
        return server;
      },
      log: options.log,
    }),
  );
  const stack = opened.move();
  return {
    brokers: `127.0.0.1:${relay.port}`,
    get pid() {
      return kept.pid;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
