import { spawn } from 'node:child_process';
import { getPriority, setPriority } from 'node:os';

/** What this process may do to a process that it started this way. */
export interface Tried {
  readonly mayRaisePriority: boolean;
}

const LIMIT_MS = 5_000;
/**
 * $0 is a program, the other arguments are files. Prints "ready" when all are accessible, and waits until it is
 * killed.
 */
const PROBE = 'test -x "$0" || exit 1; for file; do : < "$file" || exit 1; done; echo ready; read -r line';

/**
 * Starts a shell with the prefix, lets it open the files that a runner needs, changes its priority and kills it, as
 * is done with runners. Resolves undefined when any step except the priority is denied or takes too long.
 */
export function tryOut(prefix: readonly string[], files: readonly string[]): Promise<Tried | undefined> {
  return new Promise((resolve) => {
    const command = [...prefix, '/bin/sh', '-c', PROBE, process.execPath, ...files];
    const child = spawn('/bin/sh', ['-c', 'exec "$@"', 'sh', ...command], {
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
      env: {},
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let tried: Tried | undefined;
    child.stdout.once('data', () => {
      const mayRaisePriority = isPriorityOurs(child.pid ?? 0);
      if (child.kill('SIGKILL')) tried = { mayRaisePriority };
      // Ends the shell also if this process may not kill it; that is reported as an error.
      child.stdin.end();
    });
    child.stdin.on('error', () => undefined);
    child.on('error', () => resolve(undefined));
    child.on('close', () => resolve(tried));
  });
}

function isPriorityOurs(pid: number): boolean {
  const own = getPriority();
  try {
    setPriority(pid, Math.min(19, own + 1));
    setPriority(pid, own);
    return true;
  } catch {
    return false;
  }
}
