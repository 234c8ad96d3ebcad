import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { within } from '@hotloop/platform/within.ts';
import { BackingServiceError } from './backing-service-error.ts';
import { endRecordedProcess, recordProcess } from './process-record.ts';
import type { Watchdog } from './watchdog.ts';

const LAST_LINES = 15;
const KILL_WAIT_MS = 5_000;

/** How to run a server, how to know that it is ready, and how to end it. */
export interface ServerProcessOptions<T> {
  /** Display name: "Postgres", "Redis (queue)". */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The complete environment: a server inherits nothing. */
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly cwd: string;
  /**
   * Keeps the server's stdin open until this process dies, for servers that end with their input; otherwise there is
   * no stdin.
   */
  readonly holdInput?: boolean;
  /** File that records the process for the next start. */
  readonly recordFile: string;
  /** Called for each line of output; the first defined value means "ready". */
  readonly ready: (line: string) => T | undefined;
  readonly startTimeoutMs: number;
  readonly stopSignal: NodeJS.Signals;
  readonly stopTimeoutMs: number;
  readonly watchdog: Watchdog;
  readonly log: (line: string) => void;
}

/**
 * A running server. Its output is read continuously, so that it never blocks on a full pipe. Disposing sends the stop
 * signal, kills after `stopTimeoutMs`, and resolves when the process has ended; disposing twice is disposing once.
 */
export interface ServerProcess<T> extends AsyncDisposable {
  readonly ready: T;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
}

/**
 * Starts a server in its own process group (so that the terminal's Ctrl-C does not reach it, because it is stopped in
 * order) and waits until it is ready. First ends a process that an earlier, killed run left behind. On abort, failure
 * or deadline the process is ended before the error is thrown; START_FAILED contains the server's last lines.
 */
export async function startServerProcess<T>(
  options: ServerProcessOptions<T>,
  signal: AbortSignal,
): Promise<ServerProcess<T>> {
  if (await endRecordedProcess(options.recordFile, options.stopSignal)) {
    options.log(`${options.name}: ended a process left behind by an earlier run`);
  }
  signal.throwIfAborted();

  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env,
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
    stdio: [options.holdInput === true ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdin?.on('error', () => undefined);
  const spawnFailure = new Promise<Error>((resolve) => child.once('error', resolve));
  const pid = child.pid;
  if (pid === undefined) {
    throw new BackingServiceError(
      'START_FAILED',
      `${options.name} could not be started (${options.command})`,
      {
        cause: await spawnFailure,
      },
    );
  }
  options.watchdog.watch(pid, options.stopSignal);

  let stopping = false;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, endSignal) => {
      options.watchdog.forget(pid);
      if (!stopping) options.log(`${options.name} ended by itself (${endSignal ?? `exit code ${code}`})`);
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    stopping = true;
    await endChild(child, exited, options);
    await endRecordedProcess(options.recordFile, 'SIGKILL');
  };

  try {
    const output = readOutput(child, options.ready);
    await recordProcess(options.recordFile, pid);
    const ready = await firstOf(output, exited, options, signal);
    let stopped: Promise<void> | undefined;
    return {
      ready,
      pid,
      exited,
      [Symbol.asyncDispose]: () => {
        stopped ??= stop();
        return stopped;
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Output<T> {
  readonly ready: Promise<T>;
  readonly ended: Promise<unknown>;
  lastLines(): string;
}

function readOutput<T>(child: ChildProcess, ready: (line: string) => T | undefined): Output<T> {
  const lines: string[] = [];
  const ended: Promise<unknown>[] = [];
  const firstReady = new Promise<T>((resolve) => {
    let done = false;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      const reader = createInterface({ input: stream });
      ended.push(once(reader, 'close'));
      reader.on('line', (line) => {
        // Only the start's output is kept and parsed; later lines are read so that the pipe never fills.
        if (done) return;
        lines.push(line);
        if (lines.length > LAST_LINES) lines.shift();
        const value = ready(line);
        if (value === undefined) return;
        done = true;
        resolve(value);
      });
    }
  });
  return { ready: firstReady, ended: Promise.all(ended), lastLines: () => lines.join('\n') };
}

async function firstOf<T>(
  output: Output<T>,
  exited: Promise<void>,
  options: ServerProcessOptions<T>,
  signal: AbortSignal,
): Promise<T> {
  const late = AbortSignal.timeout(options.startTimeoutMs);
  const either = AbortSignal.any([signal, late]);
  const aborted = new Promise<'aborted'>((resolve) => {
    if (either.aborted) resolve('aborted');
    either.addEventListener('abort', () => resolve('aborted'), { once: true });
  });
  const died = exited.then(() => output.ended).then(() => 'died' as const);
  const outcome = await Promise.race([output.ready.then((value) => ({ value })), died, aborted]);
  if (typeof outcome === 'object') return outcome.value;
  signal.throwIfAborted();
  const what =
    outcome === 'died' ? 'ended while starting' : `was not ready within ${options.startTimeoutMs / 1_000} s`;
  throw new BackingServiceError(
    'START_FAILED',
    `${options.name} ${what}. Its last output:\n${output.lastLines()}`,
  );
}

async function endChild<T>(
  child: ChildProcess,
  exited: Promise<void>,
  options: ServerProcessOptions<T>,
): Promise<void> {
  child.stdin?.end();
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(options.stopSignal);
  if (await happens(exited, options.stopTimeoutMs)) return;
  options.log(`${options.name} did not stop within ${options.stopTimeoutMs / 1_000} s: killing it`);
  child.kill('SIGKILL');
  if (await happens(exited, KILL_WAIT_MS)) return;
  throw new BackingServiceError('STOP_FAILED', `${options.name} (process ${child.pid}) survived SIGKILL`);
}

/** True when the event happened in time. */
function happens(event: Promise<void>, ms: number): Promise<boolean> {
  return within(
    event.then(() => true),
    ms,
    () => false,
  );
}
