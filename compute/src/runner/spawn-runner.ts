import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Socket } from 'node:net';
import { getPriority, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import type { Confinement } from './confinement.ts';
import type { DeviceEnvironment } from './device-environment.ts';
import { type LoadOptions, usesDevice } from './load-options.ts';

const MAIN = fileURLToPath(new URL('./runner-main.ts', import.meta.url));
/** Address space that the process reserves before a model is loaded; most of it is never backed by memory. */
const RESERVED_BYTES = 12 * 1024 ** 3;
/**
 * The shell sets limits and then becomes the runner: no core dump when it crashes, a maximum of open files and of
 * address space. On a system without such limits it only becomes the runner.
 */
const LIMITED = 'ulimit -c 0; ulimit -n 1024 2>/dev/null; ulimit -v "$0" 2>/dev/null; exec "$@"';
/** The runner reads code; it writes no files and starts no processes. */
const PERMISSIONS = ['--permission', '--allow-addons', '--allow-fs-read=*'];
/** Known warnings: Node strips types, and native addons are not bound by the permission model. */
const SILENCED = ['--disable-warning=ExperimentalWarning', '--disable-warning=PERM0001'];
/** Niceness of a runner while it loads and warms up, relative to this process. */
const LOADING_NICENESS = 10;
const MOST_NICENESS = 19;

export interface SpawnedRunner {
  readonly child: ChildProcess;
  /** Carries its frames; already closed if no process could be started. */
  readonly socket: Socket;
  /** Sets normal priority; while a runner loads, serving processes have priority. May be called repeatedly. */
  raisePriority(): void;
}

export interface RunnerLimits extends Pick<LoadOptions, 'executionProviders'> {
  /** Memory that the model may use on top of the process itself. */
  readonly memoryLimitBytes: number;
  /** Passed to a runner that uses a device. */
  readonly deviceEnvironment?: DeviceEnvironment;
}

/**
 * Address space limit that the shell sets for the runner, in kilobytes. GPU drivers reserve addresses for all memory
 * that they may ever map, the machine's and the device's, which is far more than they use; with a limit they would
 * not start. For them the measured memory is the only limit.
 */
function addressLimit(limits: RunnerLimits): string {
  if (usesDevice(limits.executionProviders)) return 'unlimited';
  return String(Math.ceil((RESERVED_BYTES + limits.memoryLimitBytes) / 1024));
}

/**
 * Starts the process of a runner with as few rights as possible, and with low priority if that can be raised again
 * later. It inherits the file of its large frames.
 */
export function spawnRunner(
  confinement: Confinement,
  limits: RunnerLimits,
  frameFile: number | undefined,
): SpawnedRunner {
  const node = [process.execPath, ...PERMISSIONS, ...SILENCED, MAIN];
  const child = spawn('/bin/sh', ['-c', LIMITED, addressLimit(limits), ...confinement.prefix(), ...node], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', frameFile ?? 'ignore'],
    cwd: '/',
    env: {
      MALLOC_ARENA_MAX: '2',
      ...(usesDevice(limits.executionProviders) ? limits.deviceEnvironment : {}),
      ...RUNTIME_ENVIRONMENT,
    },
  });
  let isLowered = confinement.mayRaisePriority && child.pid !== undefined;
  const priority = getPriority();
  if (isLowered) setNiceness(child.pid ?? 0, Math.min(MOST_NICENESS, priority + LOADING_NICENESS));
  // Without free file descriptors there are no streams; the child reports that as an error.
  const hasStreams: boolean = child.stdio !== undefined;
  return {
    child,
    socket: hasStreams ? (child.stdio[3] as Socket) : new Socket(),
    raisePriority() {
      const lives = child.exitCode === null && child.signalCode === null;
      if (isLowered && lives) setNiceness(child.pid ?? 0, priority);
      isLowered = false;
    },
  };
}

/**
 * Sets the niceness of all threads of a process: Linux keeps it per thread, and a new thread inherits that of its
 * creator.
 */
function setNiceness(pid: number, niceness: number): void {
  for (const thread of threadsOf(pid))
    try {
      setPriority(thread, niceness);
    } catch {
      // The thread has ended meanwhile.
    }
}

function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid];
  }
}
