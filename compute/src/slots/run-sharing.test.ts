import type { Clock } from '@hotloop/platform/clock.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import { Batcher } from '../batching/batcher.ts';
import type { FrameTensor } from '../runner/frames.ts';
import { type Runner, RunnerGone } from '../runner/runner.ts';
import { RecentInputs } from './recent-inputs.ts';
import { RunSharing } from './run-sharing.ts';

const MODEL = {
  inputs: [{ name: 'x', datatype: 'UINT8', shape: [-1], dimensionNames: ['N'] }],
  outputs: [{ name: 'y', datatype: 'UINT8', shape: [-1], dimensionNames: ['N'] }],
} as const;

type Answer = (rows: Uint8Array) => Uint8Array;

/** A version on a manual clock, whose runner answers in memory; two rows of it were already answered. */
function serve(answer: Answer) {
  let nowMs = 0;
  let runs = 0;
  const clock: Clock = { now: () => nowMs, monotonic: () => nowMs };
  const runner: Runner = {
    pid: 1,
    model: MODEL,
    gone: new Promise(() => undefined),
    memoryBytes: () => 0,
    ping: async () => undefined,
    kill: () => undefined,
    async run([input]) {
      runs++;
      const { shape, pieces } = input as FrameTensor;
      const contents = answer(Buffer.concat(pieces));
      return { tensors: [{ index: 0, datatype: 'UINT8', shape, contents }], runUs: 1 };
    },
  };
  const options = { maxBatchRows: 8, queueRows: 100, targetUs: 1_000_000, hangMs: 1_000 };
  const ignored = { onRun: () => undefined, onKiller: () => undefined };
  const log = silentLog();
  const batcher = new Batcher({ ...options, ...ignored }, clock, log);
  batcher.add(runner);
  const recent = new RecentInputs();
  for (const value of [1, 2])
    recent.offer('m', [{ datatype: 'UINT8', shape: [1], contents: Uint8Array.of(value) }]);
  const sharing = new RunSharing(
    { model: MODEL, rows: 'unknown' },
    { batcher, recent, clock, log },
    { model: 'm', executionProviders: ['cpu'] },
  );
  return {
    batcher,
    sharing,
    runs: () => runs,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

const echo: Answer = (rows) => rows;
const alike: Answer = (rows) => rows.map(() => 7);

describe('sharing runs', () => {
  it('is probed with growing gaps while the result is unknown, a limited number of times', async () => {
    const { batcher, sharing, runs, pass } = serve(alike);
    const tries: number[] = [];
    let before = 0;
    for (let second = 0; second <= 3_600; second++) {
      await sharing.probe();
      if (runs() > before) tries.push(second);
      before = runs();
      pass(1_000);
    }
    expect(tries).toEqual([0, 5, 15, 35, 75, 155, 315, 635]);
    expect(runs()).toBe(tries.length * 3);
    expect(batcher.shareable).toBe(false);
  });

  it('is not probed twice at the same time', async () => {
    const { batcher, sharing, runs } = serve(echo);
    await Promise.all([sharing.probe(), sharing.probe()]);
    expect(runs()).toBe(3);
    expect(batcher.shareable).toBe(true);
  });

  it('is not probed again after a probe has ended a runner', async () => {
    const { batcher, sharing, runs, pass } = serve(() => {
      throw new RunnerGone('SIGSEGV');
    });
    await sharing.probe();
    pass(60_000);
    await sharing.probe();
    expect(runs()).toBe(1);
    expect(batcher.inFlight).toBe(0);
    expect(batcher.shareable).toBe(false);
  });

  it('ignores the result of a probe from an earlier load', async () => {
    const { batcher, sharing } = serve(echo);
    const asked = sharing.probe();
    sharing.end();
    await asked;
    expect(batcher.shareable).toBe(false);
  });
});
