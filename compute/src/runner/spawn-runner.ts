import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./runner-main.ts', import.meta.url));
/** Addresses that the process reserves before a model is there; most of them are never backed by memory. */
const RESERVED_BYTES = 12 * 1024 ** 3;
/** The shell sets the limit and becomes the runner; where a system has no such limit, it only becomes the runner. */
const LIMITED = 'ulimit -v "$0" 2>/dev/null; exec "$@"';
/** Whatever runs in there needs to read code; it needs not write files or start processes. */
const PERMISSIONS = ['--permission', '--allow-addons', '--allow-fs-read=*'];

/** Starts the process of a runner, with as little as it needs. Its socket is the fourth of its streams. */
export function spawnRunner(memoryLimitBytes: number): ChildProcess {
  const kilobytes = String(Math.ceil((RESERVED_BYTES + memoryLimitBytes) / 1024));
  const command = [process.execPath, ...PERMISSIONS, '--disable-warning=ExperimentalWarning', MAIN];
  return spawn('/bin/sh', ['-c', LIMITED, kilobytes, ...command], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    cwd: '/',
    env: { MALLOC_ARENA_MAX: '2' },
  });
}
