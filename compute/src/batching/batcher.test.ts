import type { Clock } from '@hotloop/platform/clock.ts';
import type { HotloopError } from '@hotloop/platform/errors.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import type { FrameTensor, ReceivedTensor } from '../runner/frames.ts';
import { type Runner, RunnerFailure, RunnerGone } from '../runner/runner.ts';
import { GATHER_MS } from './batch-policy.ts';
import { Batcher, type Work, type WorkResult } from './batcher.ts';

/** Stands still, unless a test moves it. */
let nowMs = 0;
const clock: Clock = { now: () => nowMs, monotonic: () => nowMs };

type Answer = (batch: FrameTensor) => readonly ReceivedTensor[];

/** A runner in memory; its answer may throw what a runner's would. */
function memoryRunner(answer: Answer): Runner & { readonly batches: number[] } {
  const batches: number[] = [];
  return {
    batches,
    pid: 1,
    model: { inputs: [], outputs: [] },
    gone: new Promise(() => undefined),
    memoryBytes: () => 0,
    ping: async () => undefined,
    kill: () => undefined,
    async run([input]) {
      if (!input) throw new RunnerFailure('no input');
      batches.push(input.shape[0] ?? 0);
      return { tensors: answer(input), runUs: 10 };
    },
  };
}

const twice: Answer = (input) => [
  { index: 0, datatype: 'UINT8', shape: input.shape, contents: double(input) },
];

function double(input: FrameTensor): Uint8Array {
  return Uint8Array.from(Buffer.concat(input.pieces), (byte) => byte * 2);
}

function makeBatcher(killers: Work[] = []): Batcher {
  const batcher = new Batcher(
    {
      maxBatchRows: 8,
      queueRows: 100,
      targetUs: 1_000_000,
      hangMs: 1_000,
      onRun: () => undefined,
      onKiller: (work) => killers.push(work),
    },
    clock,
    silentLog(),
  );
  batcher.setShareable(true);
  return batcher;
}

function ask(batcher: Batcher, ...bytes: number[]): Promise<number[]> {
  return new Promise((resolve, reject) => {
    batcher.submit({
      rows: bytes.length,
      priority: 0,
      deadlineAt: nowMs + 5_000,
      shapeKey: '',
      losses: 0,
      submittedAt: nowMs,
      inputs: [{ datatype: 'UINT8', shape: [bytes.length], contents: Uint8Array.from(bytes) }],
      isOver: () => false,
      succeed: (result: WorkResult) => resolve([...(result.outputs[0]?.contents ?? [])]),
      fail: (error: HotloopError) => reject(error),
      expire: () => reject(new Error('expired')),
    });
  });
}

describe('batcher', () => {
  it('runs what comes in one turn together, and gives each caller its own rows', async () => {
    const batcher = makeBatcher();
    const runner = memoryRunner(twice);
    batcher.add(runner);
    const answers = await Promise.all([ask(batcher, 1), ask(batcher, 2, 3), ask(batcher, 4)]);
    expect(answers).toEqual([[2], [4, 6], [8]]);
    expect(runner.batches).toEqual([4]);
    expect(batcher.inFlight).toBe(0);
  });

  it('sends what it has got while a turn goes on for long', async () => {
    const batcher = makeBatcher();
    const runner = memoryRunner(twice);
    batcher.add(runner);
    const first = ask(batcher, 1);
    nowMs += GATHER_MS;
    const second = ask(batcher, 2);
    expect(runner.batches).toEqual([2]);
    const third = ask(batcher, 3);
    expect(await Promise.all([first, second, third])).toEqual([[2], [4], [6]]);
    expect(runner.batches).toEqual([2, 1]);
  });

  it('lets a request that the model refuses fail alone', async () => {
    const batcher = makeBatcher();
    batcher.add(
      memoryRunner((input) => {
        if (Buffer.concat(input.pieces).includes(13)) throw new RunnerFailure('no thirteens');
        return twice(input);
      }),
    );
    const settled = await Promise.allSettled([ask(batcher, 1), ask(batcher, 13), ask(batcher, 2)]);
    expect(settled).toMatchObject([
      { value: [2] },
      { reason: { code: 'INTERNAL', reason: 'run_failed' } },
      { value: [4] },
    ]);
  });

  it('runs a lost batch again, each request alone, and blames the one that ends a second runner', async () => {
    const killers: Work[] = [];
    const batcher = makeBatcher(killers);
    const deadly: Answer = (input) => {
      if (Buffer.concat(input.pieces).includes(66)) throw new RunnerGone('SIGSEGV');
      return twice(input);
    };
    const first = memoryRunner(deadly);
    batcher.add(first);
    const settled = Promise.allSettled([ask(batcher, 1), ask(batcher, 66), ask(batcher, 2)]);
    for (let replacement = 0; replacement < 3; replacement++) {
      await new Promise((resolve) => setImmediate(resolve));
      batcher.add(memoryRunner(deadly));
    }
    expect(await settled).toMatchObject([
      { value: [2] },
      { reason: { code: 'UNAVAILABLE', reason: 'runner_lost' } },
      { value: [4] },
    ]);
    expect(killers).toHaveLength(1);
    expect([...(killers[0]?.inputs[0]?.contents ?? [])]).toEqual([66]);
  });

  it('runs requests alone once it sees that outputs do not follow their rows', async () => {
    const batcher = makeBatcher();
    const runner = memoryRunner((input) => [
      { index: 0, datatype: 'UINT8', shape: [1], contents: double(input).subarray(0, 1) },
    ]);
    batcher.add(runner);
    const answers = await Promise.all([ask(batcher, 1), ask(batcher, 2), ask(batcher, 3)]);
    expect(answers).toEqual([[2], [4], [6]]);
    expect(runner.batches).toEqual([3, 1, 1, 1]);
    await Promise.all([ask(batcher, 5), ask(batcher, 6)]);
    expect(runner.batches).toEqual([3, 1, 1, 1, 1, 1]);
  });
});
