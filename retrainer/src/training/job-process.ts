import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import { type ErrorCode, HotloopError } from '@hotloop/proto/errors.ts';

/** What a job's process says over its channel: any number of `progress`, then one `done` or `failed`. */
export type JobMessage<Progress, Result> =
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string; readonly reason: string };

export interface JobLimits {
  /** The whole job's bound: after it the process is killed. */
  readonly timeoutMs: number;
  /** Kills the process. */
  readonly signal?: AbortSignal;
  /** Default: 4096. The process ends itself above it. */
  readonly memoryLimitMb?: number;
  /** Where the job's files lie while it runs. Default: the system's temporary directory. */
  readonly workDirectory?: string;
}

export interface JobProcess<Progress, Result, Output> extends JobLimits {
  /** Names the job in messages: 'training'. */
  readonly activity: string;
  /** The program, which calls `serveJob`. */
  readonly mainFile: string;
  /** Writes what the process needs into the directory that it is given. */
  readonly prepare: (directory: string) => Promise<void>;
  /** Reads what the process left there. */
  readonly collect: (directory: string, result: Result) => Promise<Output>;
  readonly onProgress?: (progress: Progress) => void;
  /** Size of a half of the heap's young generation: larger where most objects live for one slice of the work. Default: Node's. */
  readonly semiSpaceMb?: number;
}

const defaultMemoryMb = 4096;
/** How much of what the process prints is kept for the log. */
const outputKept = 4096;

/**
 * Runs one job in a child process of low priority: serving keeps the processor, and whatever the job does to its
 * runtime ends with that process. It inherits no environment. It ends when this process does, when the signal fires, or
 * when time is up; its files are removed in every case.
 *
 * @throws a coded error: what the job throws; DEADLINE_EXCEEDED; CANCELLED; RESOURCE_EXHAUSTED over the memory limit;
 *   UNAVAILABLE (reason `ACTIVITY_died`) when the process died without a word.
 */
export async function runJobProcess<Progress, Result, Output>(
  job: JobProcess<Progress, Result, Output>,
): Promise<Output> {
  const { activity, timeoutMs, signal, workDirectory = tmpdir() } = job;
  if (signal?.aborted) throw cancelled(activity);
  const ending = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]);
  const directory = await mkdtemp(join(workDirectory, `hotloop-${activity}-`));
  try {
    await job.prepare(directory);
    return await job.collect(directory, await resultOf(job, directory, ending));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function resultOf<Progress, Result, Output>(
  job: JobProcess<Progress, Result, Output>,
  directory: string,
  ending: AbortSignal,
): Promise<Result> {
  const { activity, mainFile, memoryLimitMb = defaultMemoryMb } = job;
  const child = spawn(
    process.execPath,
    [
      `--max-old-space-size=${memoryLimitMb}`,
      ...(job.semiSpaceMb === undefined ? [] : [`--max-semi-space-size=${job.semiSpaceMb}`]),
      mainFile,
      directory,
      String(memoryLimitMb),
    ],
    { cwd: directory, env: RUNTIME_ENVIRONMENT, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
  );
  const kill = () => child.kill('SIGKILL');
  ending.addEventListener('abort', kill, { once: true });
  try {
    let last: JobMessage<Progress, Result> | undefined;
    child.on('message', (message) => {
      last = message as JobMessage<Progress, Result>;
      if (last.kind === 'progress') job.onProgress?.(last.progress);
    });
    const printed = keepOutput(child);
    lowerPriority(child);
    // Already over while starting: the listener above came too late for it.
    if (ending.aborted) kill();
    const [exitCode, exitSignal] = await endOf(child, activity);
    if (last?.kind === 'done') return last.result;
    if (job.signal?.aborted) throw cancelled(activity);
    if (ending.aborted) throw tooLate(activity, job.timeoutMs);
    const cause = new Error(`exit code ${exitCode}, signal ${exitSignal}; it printed: ${printed()}`);
    if (last?.kind === 'failed') {
      throw new HotloopError(last.code, last.message, { reason: last.reason, cause });
    }
    const how = exitSignal ? `killed by ${exitSignal}` : `exit code ${exitCode}`;
    const message = `the ${activity} process died before it was done (${how}); it can be started again`;
    throw new HotloopError('UNAVAILABLE', message, { reason: `${activity}_died`, cause });
  } finally {
    ending.removeEventListener('abort', kill);
    kill();
  }
}

async function endOf(
  child: ChildProcess,
  activity: string,
): Promise<[exitCode: number | null, signal: NodeJS.Signals | null]> {
  try {
    return (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  } catch (cause) {
    throw new HotloopError('UNAVAILABLE', `the ${activity} process could not be started`, { cause });
  }
}

function lowerPriority(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    setPriority(child.pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already, or the system forbids it: the job then only competes as an equal.
  }
}

/** @returns a reader of the last part of what the process printed. */
function keepOutput(child: ChildProcess): () => string {
  let kept = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    kept = (kept + text).slice(-outputKept);
  });
  return () => kept;
}

function cancelled(activity: string): HotloopError {
  return new HotloopError('CANCELLED', `the ${activity} was cancelled`);
}

function tooLate(activity: string, timeoutMs: number): HotloopError {
  return new HotloopError(
    'DEADLINE_EXCEEDED',
    `${activity} took longer than ${timeoutMs / 1000} s and was ended`,
  );
}
