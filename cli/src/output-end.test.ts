import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';

const MAIN = join(import.meta.dirname, 'main.ts');

/** Prints the help to `stdout`; a pipe's reader is closed before anything is written. */
async function printed(stdout: 'pipe' | number) {
  const child = spawn(process.execPath, [MAIN, '--help'], { stdio: ['ignore', stdout, 'pipe'] });
  child.stdout?.destroy();
  const [errors, [exitCode]] = await Promise.all([text(child.stderr!), once(child, 'exit')]);
  return { exitCode, errors };
}

describe('the output of a command', () => {
  it('may end early, as in `hotloop model list | head -c 0`: no error', async () => {
    expect(await printed('pipe')).toEqual({ exitCode: 0, errors: '' });
  });

  it.skipIf(!existsSync('/dev/full'))('that does not fit on the disk is an error of one line', async () => {
    expect(await printed(openSync('/dev/full', 'w'))).toEqual({
      exitCode: 1,
      errors: 'hotloop: the output could not be written: ENOSPC\n',
    });
  });
});
