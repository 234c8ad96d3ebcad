import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startServerProcess } from './server-process.ts';
import type { SystemProgram } from './system-programs.ts';
import type { Watchdog } from './watchdog.ts';

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

export interface KafkaOptions {
  /** This broker's alone while it runs; it holds the process record and nothing else. */
  readonly dir: string;
  /** kcat. */
  readonly program: SystemProgram;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
}

/** Disposing ends the broker, and with it every topic. */
export interface RunningKafka extends AsyncDisposable {
  /** `127.0.0.1:port`, the form of KAFKA_BROKERS. */
  readonly brokers: string;
  readonly pid: number;
}

/**
 * Runs librdkafka's single-node broker, which speaks the Kafka protocol and keeps everything in memory: topics appear
 * on first use with four partitions, each keeping its last 5 MB; nothing survives a restart.
 *
 * kcat is started as a producer that waits for input which never comes: the broker then lives in a process that
 * costs nothing while idle (a consumer would fetch from it for ever) and that ends with its input, should we die.
 * Its log tells every request, and is read and dropped.
 */
export async function startKafka(options: KafkaOptions, signal: AbortSignal): Promise<RunningKafka> {
  const dir = resolve(options.dir);
  await mkdir(dir, { recursive: true });
  const server = await startServerProcess(
    {
      name: 'Kafka',
      command: options.program.command,
      args: ['-P', '-b', 'embedded', '-t', 'unused', '-X', 'test.mock.num.brokers=1', '-d', 'mock'],
      env: options.program.env,
      cwd: dir,
      holdInput: true,
      recordFile: join(dir, 'process.json'),
      ready: (line) => /bootstrap\.servers=(127\.0\.0\.1:\d+)/.exec(line)?.[1],
      startTimeoutMs: START_TIMEOUT_MS,
      stopSignal: 'SIGTERM',
      stopTimeoutMs: STOP_TIMEOUT_MS,
      watchdog: options.watchdog,
      log: options.log,
    },
    signal,
  );
  let stopping = false;
  // It would come back at another port and empty: only a new start of everything helps, and until then nothing else stops.
  void server.exited.then(() => {
    if (!stopping) options.log('Kafka: events and outcomes on topics wait until Hotloop is started again');
  });
  return {
    brokers: server.ready,
    pid: server.pid,
    [Symbol.asyncDispose]: () => {
      stopping = true;
      return server[Symbol.asyncDispose]();
    },
  };
}
