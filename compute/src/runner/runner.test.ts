import { join } from 'node:path';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { SMALL } from '../testing/model-bundles.ts';
import { Confinements } from './confinement.ts';
import { encodeFrame, type FrameTensor } from './frames.ts';
import { RunnerGone, startRunner } from './runner.ts';

const CORRUPT = join(import.meta.dirname, '..', 'testing', 'corrupt-runner.ts');

function input(rows: number): FrameTensor {
  const pieces = [new Uint8Array(new Float32Array(rows * SMALL.inputs).fill(0.5).buffer)];
  return { index: 0, datatype: 'FP32', shape: [rows, SMALL.inputs], pieces };
}

function options(confinements: Confinements) {
  const limits = { loadTimeoutMs: 60_000, memoryLimitBytes: 2 ** 30 };
  return { executionProviders: ['cpu'] as const, threads: 1, ...limits, confinements };
}

/** Starts another program instead of a runner; it answers with the given bytes. */
function startCorrupt(answer: Buffer) {
  const prefix = () => [process.execPath, CORRUPT, answer.toString('hex')];
  const confinements = { for: async () => ({ mayRaisePriority: false, prefix }) };
  return startRunner(
    perceptron(SMALL),
    options(confinements as unknown as Confinements),
    silentLog(),
    new AbortController().signal,
  );
}

/** A valid frame except for one word. */
function spoilt(at: number, word: number): Buffer {
  const frame = Buffer.from(encodeFrame({ id: 2, kind: 'result', tensors: [input(1)] }));
  frame.writeUInt32LE(word, at);
  return frame;
}

describe('a runner', () => {
  it('answers requests after a frame that could not be encoded, and answers several in the order of the requests', async () => {
    const log = silentLog();
    const runner = await startRunner(
      perceptron(SMALL),
      options(new Confinements(log)),
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

  it.each([
    ['zeros', Buffer.alloc(64)],
    ['a length above the maximum', spoilt(0, 0xffffffff)],
    ['a length shorter than a header', spoilt(0, 8)],
    ['an unknown kind', spoilt(8, 77)],
    ['an unknown datatype', spoilt(36, 77)],
    ['a rank that exceeds the frame', spoilt(40, 2 ** 31)],
    ['contents that exceed the frame', spoilt(44, 4096)],
    ['a wrong number of tensors', spoilt(12, 2)],
  ])('is ended where it answers with %s, and its work fails', async (_, answer) => {
    const runner = await startCorrupt(answer);
    try {
      const runs = [runner.run([input(1)]), runner.run([input(1)])];
      const told = await Promise.allSettled(runs);
      expect(told.map((one) => one.status === 'rejected' && one.reason)).toEqual([
        expect.any(RunnerGone),
        expect.any(RunnerGone),
      ]);
      expect(await runner.gone).toBe('SIGKILL');
    } finally {
      runner.kill();
      await runner.gone;
    }
  });
});
