import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { within } from '@hotloop/platform/within.ts';
import { recordProcess } from '../backing/process-record.ts';
import type { Watchdog } from '../backing/watchdog.ts';
import { LocalError } from './local-error.ts';
import type { ServiceLog } from './service-log.ts';

const START_TIMEOUT_MS = 60_000;
const KILL_WAIT_MS = 5_000;

export interface ServiceChildOptions {
  readonly name: string;
  /** The service's main.ts. */
  readonly script: string;
  /** The complete environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** File that records the process for the next start. */
  readonly recordFile: string;
  readonly log: ServiceLog;
  readonly watchdog: Watchdog;
}

/** What a service prints on stdout when it serves. */
export interface ReadyLine {
  readonly address: string;
  readonly httpAddress: string;
  /** Additional addresses, such as those of all services of a single process. */
  readonly [name: string]: unknown;
}

/** One running process of a service. */
export interface ServiceChild {
  readonly pid: number;
  readonly ready: ReadyLine;
  /** Resolves with how it ended, such as `exit code 1` or `SIGKILL`, for whatever reason. */
  readonly ended: Promise<string>;
  /** Asks it to drain, kills it and its own children after `timeoutMs`; resolves when it has ended. */
  stop(timeoutMs: number): Promise<void>;
}

/**
 * Starts a service in its own process group, so that the terminal's Ctrl-C does not reach it, because it is stopped
 * in order. Its stdin stays open as long as this process lives. On abort, failure or deadline it is ended before the
 * error is thrown; SERVICE_FAILED contains its last lines and names the file with the others.
 */
export async function startServiceChild(
  options: ServiceChildOptions,
  signal: AbortSignal,
): Promise<ServiceChild> {
  signal.throwIfAborted();
  // kafkajs sets timers for times in the past, which is harmless but causes a warning of Node.
  const flags = ['--enable-source-maps', '--disable-warning=TimeoutNegativeWarning'];
  const child = spawn(process.execPath, [...flags, options.script], {
    cwd: options.cwd,
    env: { ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, endSignal) => resolve(endSignal ?? `exit code ${code}`));
  });
  const pid = child.pid;
  if (pid === undefined)
    throw new LocalError('SERVICE_FAILED', `${options.name} could not be started: ${await ended}`);
  options.watchdog.watch(pid, 'SIGTERM');
  void ended.then(() => options.watchdog.forget(pid));
  const stop = (timeoutMs: number) => endChild(child, ended, timeoutMs);
  try {
    const firstReady = readOutput(child, options.log);
    await recordProcess(options.recordFile, pid);
    const ready = await waitUntilReady(options, firstReady, ended, signal);
    return { pid, ready, ended, stop };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

function readOutput(child: ChildProcess, log: ServiceLog): Promise<ReadyLine> {
  return new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        log.write(line);
        const ready = stream === child.stdout ? readyLine(line) : undefined;
        if (ready) resolve(ready);
      });
    }
  });
}

function readyLine(line: string): ReadyLine | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('ready' in value) || value.ready !== true)
      return undefined;
    if (!('address' in value) || typeof value.address !== 'string') return undefined;
    const httpAddress = 'httpAddress' in value ? String(value.httpAddress) : '';
    return { ...value, address: value.address, httpAddress };
  } catch {
    return undefined;
  }
}

async function waitUntilReady(
  options: ServiceChildOptions,
  firstReady: Promise<ReadyLine>,
  ended: Promise<string>,
  signal: AbortSignal,
): Promise<ReadyLine> {
  const late = AbortSignal.timeout(START_TIMEOUT_MS);
  const either = AbortSignal.any([signal, late]);
  const aborted = new Promise<undefined>((resolve) => {
    if (either.aborted) resolve(undefined);
    either.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const outcome = await Promise.race([firstReady, ended, aborted]);
  if (typeof outcome === 'object') return outcome;
  signal.throwIfAborted();
  const what =
    outcome === undefined
      ? `was not ready within ${START_TIMEOUT_MS / 1000} s`
      : `ended while starting (${outcome})`;
  throw new LocalError(
    'SERVICE_FAILED',
    `${options.name} ${what}. Its last lines (all are in ${options.log.file}):\n${options.log.lastLines().join('\n')}`,
  );
}

async function endChild(child: ChildProcess, ended: Promise<string>, timeoutMs: number): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    if (timeoutMs > 0) child.kill('SIGTERM');
    if (timeoutMs <= 0 || !(await happens(ended, timeoutMs))) killGroup(child.pid);
    await happens(ended, KILL_WAIT_MS);
  }
  // Processes that the service started itself (runners, a trainer) must not outlive it.
  killGroup(child.pid);
  child.stdin?.destroy();
}

/** Kills a whole process group at once; an empty group is not an error. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // The group was empty.
  }
}

/** True when the event happened in time. */
function happens(event: Promise<unknown>, ms: number): Promise<boolean> {
  return within(
    event.then(() => true),
    ms,
    () => false,
  );
}
