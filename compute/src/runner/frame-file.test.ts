import { execFile } from 'node:child_process';
import { fstatSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { perceptron } from '@hotloop/model/onnx/perceptron.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { SMALL } from '../testing/model-bundles.ts';
import { Confinements } from './confinement.ts';
import { FrameFile } from './frame-file.ts';
import { decodeFrame, type FrameParts, type FrameTensor } from './frames.ts';
import { startRunner } from './runner.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const STARTER = join(import.meta.dirname, '..', 'testing', 'start-without-files.ts');

/** A frame with `bytes` bytes of contents, all of one value. */
function frameOf(value: number, bytes: number): FrameParts {
  const pieces = [new Uint8Array(bytes).fill(value)];
  return { id: value, kind: 'run', tensors: [{ index: 0, datatype: 'UINT8', shape: [bytes], pieces }] };
}

function open(): FrameFile & Disposable {
  const file = FrameFile.open();
  if (!file) throw new Error('cannot create a frame file here');
  return Object.assign(file, {
    [Symbol.dispose]() {
      file.given();
      file.close();
    },
  });
}

describe('the file of large frames', () => {
  it('returns each frame whole, from its offset, while the other one is held', () => {
    using file = open();
    const sent = [frameOf(1, 40 * KIB), frameOf(2, 3 * MIB)];
    const places = sent.map((parts) => file.put(parts));
    for (const [index, place] of places.entries()) {
      const frame = Buffer.alloc(place?.length ?? 0);
      expect(readSync(file.readable, frame, 0, frame.length, place?.position ?? 0)).toBe(place?.length);
      const [tensor] = decodeFrame(frame).tensors;
      const [piece] = sent[index]?.tensors[0]?.pieces ?? [];
      expect(Buffer.compare(tensor?.contents ?? Buffer.alloc(0), piece ?? Buffer.alloc(0))).toBe(0);
    }
  });

  it('holds two frames at a time, and accepts another when one has been read', () => {
    using file = open();
    const first = file.put(frameOf(1, 64 * KIB));
    expect(file.put(frameOf(2, 64 * KIB))).toBeDefined();
    expect(file.put(frameOf(3, 64 * KIB))).toBeUndefined();
    if (first) file.release(first);
    expect(file.put(frameOf(3, 64 * KIB))).toEqual(first);
  });

  it('leaves small and very large frames to the socket', () => {
    using file = open();
    expect(file.put(frameOf(1, KIB))).toBeUndefined();
    expect(file.put(frameOf(1, 4 * MIB))).toBeUndefined();
    expect(file.put(frameOf(1, 64 * KIB))).toBeDefined();
  });

  it('has no name, so it does not outlive its processes', () => {
    using file = open();
    expect(fstatSync(file.readable).nlink).toBe(0);
  });

  it.runIf(process.platform === 'linux')('is closed again where no runner can be started', async () => {
    const limited = ['-c', 'ulimit -n 200; exec "$@"', 'sh', process.execPath, STARTER, '5'];
    const { stdout } = await promisify(execFile)('/bin/sh', limited);
    expect(JSON.parse(stdout)).toEqual({ codes: Array(5).fill('UNAVAILABLE'), frameFiles: 0 });
  });

  it('carries batches of every size to a runner, many in flight, each with its own answer', async () => {
    const log = silentLog();
    const options = {
      executionProviders: ['cpu'] as const,
      threads: 1,
      loadTimeoutMs: 60_000,
      memoryLimitBytes: 2 ** 32,
      confinements: new Confinements(log),
    };
    const runner = await startRunner(perceptron(SMALL), options, log, new AbortController().signal);
    try {
      const rows = [1, 100, 4_000, 300_000, 5_000, 20_000, 1, 2_048, 100_000];
      const batches = rows.map((count, index) => runner.run([batch(count, index)]));
      const alone = await Promise.all(rows.map((_, index) => runner.run([batch(1, index)])));
      for (const [index, result] of (await Promise.all(batches)).entries()) {
        const [output] = result.tensors;
        expect(output?.shape).toEqual([rows[index], 1]);
        const [expected = Number.NaN] = floats(alone[index]?.tensors[0]?.contents);
        const values = floats(output?.contents);
        // Larger or smaller matrix products may be rounded differently.
        expect(values.every((value) => Math.abs(value - expected) < 1e-5)).toBe(true);
      }
    } finally {
      runner.kill();
      await runner.gone;
    }
  });
});

/** A batch of identical rows, which differ between seeds. */
function batch(rows: number, seed: number): FrameTensor {
  const values = new Float32Array(rows * SMALL.inputs).fill(seed / 10);
  const pieces = [new Uint8Array(values.buffer)];
  return { index: 0, datatype: 'FP32', shape: [rows, SMALL.inputs], pieces };
}

function floats(contents: Uint8Array = new Uint8Array()): Float32Array {
  return new Float32Array(Uint8Array.from(contents).buffer);
}
