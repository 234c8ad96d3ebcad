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
/** Addresses that the process reserves before a model is there; most of them are never backed by memory. */
const RESERVED_BYTES = 12 * 1024 ** 3;
/**
 * The shell sets limits and becomes the runner: no image of its memory is written when it crashes, and it has so many open
 * files and so many addresses. Where a system has no such limit, it only becomes the runner.
 */
const LIMITED = 'ulimit -c 0; ulimit -n 1024 2>/dev/null; ulimit -v "$0" 2>/dev/null; exec "$@"';
/** The runner reads code; it writes no files and starts no processes. */
const PERMISSIONS = ['--permission', '--allow-addons', '--allow-fs-read=*'];
/** That types are stripped, and that native code may do what JavaScript may not: both are known. */
const SILENCED = ['--disable-warning=ExperimentalWarning', '--disable-warning=PERM0001'];
/** How far behind this process a runner stands while it loads and warms. */
const LOADING_NICENESS = 10;
const MOST_NICENESS = 19;

export interface SpawnedRunner {
  readonly child: ChildProcess;
  /** Carries its frames; a closed one where there is no process. */
  readonly socket: Socket;
  /** Gives it normal priority; while it loads, serving processes have priority. May be called again. */
  raisePriority(): void;
}

export interface RunnerLimits extends Pick<LoadOptions, 'executionProviders'> {
  /** What the model may take beyond the process itself. */
  readonly memoryLimitBytes: number;
  /** Given to a runner that uses a device. */
  readonly deviceEnvironment?: DeviceEnvironment;
}

/**
 * What the shell limits the runner's addresses to, in kilobytes. Drivers of graphics processors reserve addresses for all
 * memory that they may ever map, the machine's and the device's, which is far more than they take: under a limit they
 * would not even start. There the memory that is measured is the only limit.
 */
function addressLimit(limits: RunnerLimits): string {
  if (usesDevice(limits.executionProviders)) return 'unlimited';
  return String(Math.ceil((RESERVED_BYTES + limits.memoryLimitBytes) / 1024));
}

/**
 * Starts the process of a runner, with as little as it needs; lower in priority where the way back up is allowed. It
 * inherits the file of its large frames.
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
  // Without free file descriptors there are no streams; the child reports it as an error.
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

/** Of all threads of a process: Linux keeps it for each, and a thread begins with that of its maker. */
function setNiceness(pid: number, niceness: number): void {
  for (const thread of threadsOf(pid))
    try {
      setPriority(thread, niceness);
    } catch {
      // It has ended meanwhile.
    }
}

function threadsOf(pid: number): readonly number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [pid];
  }
}
