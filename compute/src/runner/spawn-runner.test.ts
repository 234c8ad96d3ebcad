import { once } from 'node:events';
import { readFile, readlink } from 'node:fs/promises';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { Confinements } from './confinement.ts';
import type { ExecutionProvider } from './load-options.ts';
import { spawnRunner } from './spawn-runner.ts';

const GB = 1024 ** 3;

/** The limit of addresses that a runner has, as the system tells it. */
async function addressLimitOf(executionProviders: readonly ExecutionProvider[]): Promise<string | undefined> {
  const confinement = await new Confinements(silentLog()).for({ executionProviders });
  const { child } = spawnRunner(confinement, { executionProviders, memoryLimitBytes: 4 * GB }, undefined);
  const ended = once(child, 'exit');
  try {
    // The limits are set before the shell becomes the runner.
    await expect.poll(() => readlink(`/proc/${child.pid}/exe`)).toBe(process.execPath);
    const limits = await readFile(`/proc/${child.pid}/limits`, 'utf8');
    return /^Max address space\s+(\S+)/m.exec(limits)?.[1];
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

describe.runIf(process.platform === 'linux')('the addresses of a runner', () => {
  it('are limited where the model runs on the CPU alone, and not beside a device, whose driver reserves many', async () => {
    expect(await addressLimitOf(['cpu'])).toBe(String(16 * GB));
    const ofService = await readFile('/proc/self/limits', 'utf8');
    const own = /^Max address space\s+(\S+)/m.exec(ofService)?.[1];
    for (const providers of [['cuda', 'cpu'], ['tensorrt']] as const)
      expect(await addressLimitOf(providers)).toBe(own);
  });
});
