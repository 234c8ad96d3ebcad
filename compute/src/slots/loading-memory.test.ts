import { readFile } from 'node:fs/promises';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { Confinements } from '../runner/confinement.ts';
import { startRunner } from '../runner/runner.ts';
import { loadingBytes } from './memory-budget.ts';

/** Value of a line of /proc/PID/status, in bytes. */
async function statusBytes(pid: number, name: string): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
}

describe.runIf(process.platform === 'linux')('memory of a load', () => {
  it.each([8, 2048])('never exceeds the reservation (two layers of %d)', async (width) => {
    const onnx = perceptron({
      inputs: 8,
      hidden: [width, width],
      outputs: 1,
      activation: 'relu',
      head: 'sigmoid',
      seed: 1,
    });
    const options = {
      executionProviders: ['cpu' as const],
      threads: 1,
      loadTimeoutMs: 60_000,
      memoryLimitBytes: 4 * 1024 ** 3,
      confinements: new Confinements(silentLog()),
    };
    const runner = await startRunner(onnx, options, silentLog(), new AbortController().signal);
    try {
      // Code and libraries, which all runners share, do not count.
      const shared = await statusBytes(runner.pid, 'RssFile');
      const most = (await statusBytes(runner.pid, 'VmHWM')) - shared;
      expect(most).toBeLessThan(loadingBytes(onnx.length, 1));
      expect(most).toBeGreaterThan(runner.memoryBytes() / 2);
    } finally {
      runner.kill();
      await runner.gone;
    }
  });
});
