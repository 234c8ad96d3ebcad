import type { Clock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import type { FrameTensor, ReceivedTensor } from '../runner/frames.ts';
import { type Runner, RunnerFailure, RunnerGone, type RunResult } from '../runner/runner.ts';
import { GATHER_MS } from './batch-policy.ts';
import { Batcher, type Work, type WorkResult } from './batcher.ts';
import { ALONE } from './work-queue.ts';

/** Advanced only by tests. */
let nowMs = 0;
const HANG_MS = 1_000;
const clock: Clock = { now: () => nowMs, monotonic: () => nowMs };

type Answer = (batch: FrameTensor) => readonly ReceivedTensor[];

/** A runner in memory. `answer` may throw what a real runner would. */
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

interface HeldRunner extends Runner {
  kills: number;
  /** Answers the running batch. */
  answer(): Promise<void>;
  /** Ends like a process does: all its batches reject, in order. */
  end(): Promise<void>;
}

/** A runner in memory that answers only on command. */
function heldRunner(): HeldRunner {
  const held: { input: FrameTensor; resolve(result: RunResult): void; reject(error: Error): void }[] = [];
  return {
    ...memoryRunner(twice),
    kills: 0,
    kill() {
      this.kills++;
    },
    run: ([input]) =>
      new Promise((resolve, reject) => {
        if (input) held.push({ input, resolve, reject });
      }),
    async answer() {
      const first = held.shift();
      first?.resolve({ tensors: twice(first.input), runUs: 10 });
      await nextTurn();
    },
    async end() {
      for (const { reject } of held.splice(0)) reject(new RunnerGone('SIGKILL'));
      await nextTurn();
    },
  };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

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
      hangMs: HANG_MS,
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
  return askAs(batcher, {}, bytes);
}

function askAs(batcher: Batcher, more: Partial<Work>, bytes: readonly number[]): Promise<number[]> {
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
      ...more,
    });
  });
}

describe('batcher', () => {
  it('runs work submitted in one turn together, and gives each caller its own rows', async () => {
    const batcher = makeBatcher();
    const runner = memoryRunner(twice);
    batcher.add(runner);
    const answers = await Promise.all([ask(batcher, 1), ask(batcher, 2, 3), ask(batcher, 4)]);
    expect(answers).toEqual([[2], [4, 6], [8]]);
    expect(runner.batches).toEqual([4]);
    expect(batcher.inFlight).toBe(0);
  });

  it('sends what it has gathered when a turn takes long', async () => {
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

  it('rejects work at once when the queue ahead would make it too late, but not urgent work', async () => {
    const batcher = makeBatcher();
    batcher.setShareable(false);
    batcher.add(heldRunner());
    // A run takes 100 ms, so twenty waiting runs take two seconds.
    for (let run = 0; run < 10; run++) batcher.pace.observe(1, 100_000);
    for (let index = 0; index < 22; index++)
      void askAs(batcher, { deadlineAt: nowMs + 60_000 }, [index]).catch(() => undefined);
    const hurried = { deadlineAt: nowMs + 500 };
    await expect(askAs(batcher, hurried, [1])).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'queue_full',
    });
    const waiting = batcher.inFlight;
    void askAs(batcher, { ...hurried, priority: 1 }, [1]).catch(() => undefined);
    void askAs(batcher, { deadlineAt: nowMs + 60_000 }, [1]).catch(() => undefined);
    expect(batcher.inFlight).toBe(waiting + 2);
  });

  it('fails only the request that the model rejects', async () => {
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

  it('retries a lost batch, each request alone, and blames the one that ends a second runner', async () => {
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

  it('does not treat a slow model as hung: a run starts when the one before it is answered', async () => {
    const batcher = makeBatcher();
    const runner = heldRunner();
    batcher.add(runner);
    const first = ask(batcher, 1);
    await nextTurn();
    const second = ask(batcher, 2);
    await nextTurn();
    expect(batcher.running).toBe(2);
    nowMs += HANG_MS * 0.9;
    await runner.answer();
    nowMs += HANG_MS * 0.9;
    batcher.sweep();
    expect(runner.kills).toBe(0);
    await runner.answer();
    expect(await Promise.all([first, second])).toEqual([[2], [4]]);
    // Time in which nothing ran does not count either.
    nowMs += HANG_MS * 2;
    const third = ask(batcher, 3);
    await nextTurn();
    nowMs += HANG_MS;
    batcher.sweep();
    expect(runner.kills).toBe(0);
    nowMs += 1;
    batcher.sweep();
    expect(runner.kills).toBe(1);
    await runner.answer();
    expect(await third).toEqual([6]);
  });

  it('blames the batch that was running when the runner ended, not the one that waited behind it', async () => {
    const killers: Work[] = [];
    const batcher = makeBatcher(killers);
    const behind = ask(batcher, 1);
    for (const deadly of [66, 67, 68]) {
      // Runs first, and is not batched with others.
      const killer = Promise.allSettled([askAs(batcher, { priority: 1, shapeKey: ALONE }, [deadly])]);
      for (let attempt = 0; attempt < 2; attempt++) {
        const runner = heldRunner();
        batcher.add(runner);
        await nextTurn();
        expect(batcher.running).toBe(2);
        await runner.end();
      }
      expect(await killer).toMatchObject([{ reason: { reason: 'runner_lost' } }]);
    }
    batcher.add(memoryRunner(twice));
    expect(await behind).toEqual([2]);
    expect(killers.map((work) => work.inputs[0]?.contents[0])).toEqual([66, 66, 67, 67, 68, 68]);
  });

  it('does not blame the running batch when the runner is killed for another reason', async () => {
    const killers: Work[] = [];
    const batcher = makeBatcher(killers);
    const answer = ask(batcher, 66);
    for (let ended = 0; ended < 3; ended++) {
      const runner = heldRunner();
      batcher.add(runner);
      await nextTurn();
      batcher.pardon(runner);
      await runner.end();
    }
    batcher.add(memoryRunner(twice));
    expect(await answer).toEqual([132]);
    expect(killers).toEqual([]);
  });

  it('fails the work of a lost runner when no runner is left, and later work too', async () => {
    const batcher = makeBatcher();
    const asked = [ask(batcher, 1, 2), ask(batcher, 3)];
    const refused = asked.map((answer) => expect(answer).rejects.toThrow('over'));
    const runner = heldRunner();
    batcher.add(runner);
    await nextTurn();
    batcher.close(new HotloopError('UNAVAILABLE', 'over'));
    await runner.end();
    await Promise.all(refused);
    await expect(ask(batcher, 4)).rejects.toThrow('over');
  });

  it('runs requests alone after outputs did not have one row per input row', async () => {
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
