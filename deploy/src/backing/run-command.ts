import { spawn } from 'node:child_process';
import { once } from 'node:events';

const KEPT_OUTPUT = 4 * 1024 * 1024;
const KILL_AFTER_MS = 2_000;

export interface CommandOptions {
  readonly cwd?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** The complete environment; default: this process's own. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly timeoutMs: number;
}

export interface CommandResult {
  /** Exit code; undefined when it was ended by a signal or could not be started. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a short-lived command to its end and returns its output; a failing command is a result, not an exception.
 * Throws only the signal's reason. On abort or at the deadline the command is ended first.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
  signal: AbortSignal,
): Promise<CommandResult> {
  signal.throwIfAborted();
  const child = spawn(command, args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
    ...(options.env === undefined ? {} : { env: options.env }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const either = AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs)]);
  let killTimer: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill('SIGTERM');
    killTimer ??= setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  };
  either.addEventListener('abort', end, { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout = (stdout + text).slice(-KEPT_OUTPUT);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_OUTPUT);
  });
  try {
    await once(child, 'close');
  } catch (error) {
    stderr += error instanceof Error ? error.message : String(error);
  } finally {
    either.removeEventListener('abort', end);
    clearTimeout(killTimer);
  }
  signal.throwIfAborted();
  return { code: child.exitCode ?? undefined, stdout, stderr };
}
