import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const COMMAND = fileURLToPath(new URL('../../../cli/bin/hotloop.mjs', import.meta.url));
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Runs `hotloop` as a user does, in its own process; resolves with its standard output. Rejects for an exit code
 * other than 0.
 */
export async function runCommand(args: readonly string[], home: string): Promise<string> {
  const { stdout } = await run(process.execPath, [COMMAND, ...args], {
    env: { PATH: process.execPath.replace(/\/node$/, ''), HOME: home, NO_COLOR: '1' },
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  return stdout;
}
