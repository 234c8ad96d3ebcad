import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RUNTIME_ENVIRONMENT } from '@hotloop/model/onnx/runtime-environment.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import type { TrainingSettings } from '@hotloop/model/training/training-settings.ts';
import { describe, expect, it } from 'vitest';
import { initialModel } from './initial-model.ts';
import { type TrainingProgress, train } from './train.ts';
import { type TrainerOptions, trainInProcess } from './trainer-process.ts';
import type { TrainingDataset } from './training-dataset.ts';

const settings: TrainingSettings = {
  loss: 'binary_cross_entropy',
  optimizer: { kind: 'adam' },
  learningRate: 0.01,
  trainable: 'all',
  epochs: 3,
  batch: 16,
  seed: 1,
  validationFraction: 0.2,
};
/** The processes have the lowest priority: on a busy machine even one that does little takes its time. */
const PATIENCE_MS = 180_000;
/** Far more than a test waits for: such a training only ends by being ended. */
const endless = { ...settings, epochs: 1_000_000_000 };
const modelBytes = initialModel({ features: 3, task: 'binary', seed: 1 });

function dataset(rows = 100): TrainingDataset {
  const random = new SeededRandom(1);
  const features = Float32Array.from({ length: rows * 3 }, () => random.normal());
  const labels = Float32Array.from({ length: rows }, (_, i) => (features[i * 3]! > 0 ? 1 : 0));
  return { rows, columns: 3, features, labels, weights: new Float32Array(rows).fill(1) };
}

/** A directory that is removed with whatever is left in it. */
async function workDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'hotloop-test-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** The training process that works in this directory, found as the system lists it. */
async function trainerPid(directory: string): Promise<number | undefined> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (command.includes('trainer-main.ts') && command.includes(directory)) return Number(entry);
  }
  return undefined;
}

/** Whether a process still runs; one that ended but that nobody has waited for yet does not. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !/^\d+ \(.*\) [ZX]/.test(stat);
}

/** Runs an endless training, and does something to it once it reports. @returns the error it ended with. */
async function interrupt(
  act: (directory: string) => Promise<void> | void,
  options: Partial<TrainerOptions> = {},
) {
  await using work = await workDirectory();
  let started = () => {};
  const running = new Promise<void>((resolve) => {
    started = resolve;
  });
  const onProgress = () => started();
  const training = trainInProcess(
    { modelBytes, dataset: dataset(), settings: endless },
    { timeoutMs: PATIENCE_MS, workDirectory: work.path, onProgress, ...options },
  );
  const ended = training.then(
    () => undefined,
    (error: unknown) => error,
  );
  await Promise.race([running, ended]);
  await act(work.path);
  const error = await ended;
  expect(await readdir(work.path), 'files left behind').toEqual([]);
  return error;
}

describe('trainInProcess', { timeout: PATIENCE_MS }, () => {
  it('gives the same result as training in this process, and reports progress', async () => {
    await using work = await workDirectory();
    const job = { modelBytes, dataset: dataset(), settings };
    const seen: TrainingProgress[] = [];
    const onProgress = (progress: TrainingProgress) => seen.push(progress);
    const result = await trainInProcess(job, {
      timeoutMs: PATIENCE_MS,
      workDirectory: work.path,
      onProgress,
    });
    const here = await train(modelBytes, dataset(), settings);
    expect(Buffer.from(result.modelBytes).equals(here.modelBytes)).toBe(true);
    expect(result.metrics).toEqual(here.metrics);
    expect(result.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(seen.at(-1)).toMatchObject({ epoch: 3, step: 15, validationLoss: expect.any(Number) });
    expect(await readdir(work.path)).toEqual([]);
  });

  it('reports why training was refused', async () => {
    const job = { modelBytes: modelBytes.subarray(0, 100), dataset: dataset(), settings };
    await expect(trainInProcess(job, { timeoutMs: PATIENCE_MS })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('not an ONNX file'),
    });
  });

  it.runIf(process.platform === 'linux')('says so when the process is killed', async () => {
    const error = await interrupt(
      async (directory) => process.kill((await trainerPid(directory))!, 'SIGKILL') as never,
    );
    expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'training_died' });
    expect((error as Error).message).toContain('SIGKILL');
  });

  it('ends when the signal fires', async () => {
    const control = new AbortController();
    const error = await interrupt(() => control.abort(), { signal: control.signal });
    expect(error).toMatchObject({ code: 'CANCELLED' });
  });

  it('does not start if the signal has already fired', async () => {
    const training = trainInProcess(
      { modelBytes, dataset: dataset(), settings },
      { timeoutMs: PATIENCE_MS, signal: AbortSignal.abort() },
    );
    await expect(training).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('ends at its deadline', async () => {
    const error = await interrupt(() => {}, { timeoutMs: 1_500 });
    expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', message: expect.stringContaining('1.5 s') });
  });

  it('ends when it exceeds its memory limit', async () => {
    const error = await interrupt(() => {}, { memoryLimitMb: 64 });
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it.runIf(process.platform === 'linux')(
    'runs at low priority, without the environment of its parent',
    async () => {
      const control = new AbortController();
      await interrupt(
        async (directory) => {
          const pid = (await trainerPid(directory))!;
          expect(getPriority(pid)).toBeGreaterThan(0);
          const names = (await readFile(`/proc/${pid}/environ`, 'utf8'))
            .split('\0')
            .map((line) => line.split('=')[0]!);
          const others = names.filter((name) => name !== '' && !name.startsWith('NODE_CHANNEL'));
          expect(others).toEqual(Object.keys(RUNTIME_ENVIRONMENT));
          control.abort();
        },
        { signal: control.signal },
      );
    },
  );

  it.runIf(process.platform === 'linux')('ends with its parent, even when that is killed', async () => {
    await using work = await workDirectory();
    const parentFile = fileURLToPath(new URL('./testing/endless-parent.ts', import.meta.url));
    const parent = spawn(process.execPath, [parentFile, work.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(parent.stdout, 'data');
    const pid = (await trainerPid(work.path))!;
    expect(await isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    await expect.poll(() => isRunning(pid)).toBe(false);
    expect(await readdir(work.path)).toEqual([]);
  });
});
