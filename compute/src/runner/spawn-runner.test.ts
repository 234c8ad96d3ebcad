import { once } from 'node:events';
import { readFile, readlink } from 'node:fs/promises';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it, vi } from 'vitest';
import { Confinements } from './confinement.ts';
import type { ExecutionProvider } from './load-options.ts';
import { spawnRunner } from './spawn-runner.ts';

const GB = 1024 ** 3;

/** Reads a file of a runner's process in /proc. */
async function tellOf(executionProviders: readonly ExecutionProvider[], file: 'limits' | 'environ') {
  const deviceEnvironment = { CUDA_VISIBLE_DEVICES: '3' };
  const confinement = await new Confinements(silentLog()).for({ executionProviders });
  const { child } = spawnRunner(
    confinement,
    { executionProviders, memoryLimitBytes: 4 * GB, deviceEnvironment },
    undefined,
  );
  const ended = once(child, 'exit');
  try {
    // The shell sets the limits before it becomes the runner. Until the shell starts, the new process still looks
    // like this one.
    await expect
      .poll(async () => {
        const command = await readFile(`/proc/${child.pid}/cmdline`, 'utf8');
        return command.includes('runner-main') && (await readlink(`/proc/${child.pid}/exe`));
      })
      .toBe(process.execPath);
    return await readFile(`/proc/${child.pid}/${file}`, 'utf8');
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
}

/** The address space limit of a runner, as the system reports it. */
async function addressLimitOf(executionProviders: readonly ExecutionProvider[]): Promise<string | undefined> {
  const limits = await tellOf(executionProviders, 'limits');
  return /^Max address space\s+(\S+)/m.exec(limits)?.[1];
}

describe.runIf(process.platform === 'linux')('the environment of a runner', () => {
  it('says where the libraries of a device are, beside one, and holds nothing else of the service', async () => {
    vi.stubEnv('DATABASE_URL', 'postgres://secret');
    try {
      const beside = await tellOf(['cuda', 'cpu'], 'environ');
      expect(beside).toContain('CUDA_VISIBLE_DEVICES=3');
      const without = await tellOf(['cpu'], 'environ');
      for (const all of [beside, without]) expect(all).not.toContain('secret');
      expect(without).not.toContain('CUDA');
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

describe.runIf(process.platform === 'linux')('the address space of a runner', () => {
  it('are limited where the model runs on the CPU alone, and not beside a device, whose driver reserves many', async () => {
    expect(await addressLimitOf(['cpu'])).toBe(String(16 * GB));
    const ofService = await readFile('/proc/self/limits', 'utf8');
    const own = /^Max address space\s+(\S+)/m.exec(ofService)?.[1];
    for (const providers of [['cuda', 'cpu'], ['tensorrt']] as const)
      expect(await addressLimitOf(providers)).toBe(own);
  });
});
