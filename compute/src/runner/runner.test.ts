import { silentLog } from '@hotloop/platform/log.ts';
import { perceptron } from '@hotloop/platform/onnx/perceptron.ts';
import { describe, expect, it } from 'vitest';
import { SMALL } from '../testing/model-bundles.ts';
import { Confinements } from './confinement.ts';
import type { FrameTensor } from './frames.ts';
import { startRunner } from './runner.ts';

function input(rows: number): FrameTensor {
  const pieces = [new Uint8Array(new Float32Array(rows * SMALL.inputs).fill(0.5).buffer)];
  return { index: 0, datatype: 'FP32', shape: [rows, SMALL.inputs], pieces };
}

describe('a runner', () => {
  it('answers what comes after a frame that could not be made, and several in the order in which they were asked', async () => {
    const log = silentLog();
    const runner = await startRunner(
      perceptron(SMALL),
      {
        executionProviders: ['cpu'],
        threads: 1,
        loadTimeoutMs: 60_000,
        memoryLimitBytes: 2 ** 30,
        confinements: new Confinements(log),
      },
      log,
      new AbortController().signal,
    );
    try {
      const endless = { ...input(1), pieces: [{ length: 2 ** 50 } as Uint8Array] };
      await expect(runner.run([endless])).rejects.toThrow(RangeError);
      const results = await Promise.all([1, 2, 3].map((rows) => runner.run([input(rows)])));
      expect(results.map(({ tensors }) => tensors[0]?.shape[0])).toEqual([1, 2, 3]);
      await runner.ping();
      expect(runner.memoryBytes()).toBeGreaterThan(0);
    } finally {
      runner.kill();
      await runner.gone;
    }
  });
});
