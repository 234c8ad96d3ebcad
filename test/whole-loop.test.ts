import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
const MAIN = join(ROOT, 'deploy', 'src', 'demo', 'main.ts');
const SESSIONS = join(ROOT, '..', 'shared', 'data', 'online_shoppers_intention.csv');
const TIMEOUT_MS = 240_000;

interface Result {
  readonly ok: boolean;
  readonly predictions: number;
  readonly failed: number;
  readonly logged: number;
  readonly outcomes: number;
  readonly versions: readonly { readonly version: number; readonly auc: number }[];
  readonly swap: Readonly<Record<string, number>>;
  readonly elapsed_s: number;
  readonly reason?: string;
}

/** What `npm start -- --once --json` runs, in a folder of its own. */
async function closeTheLoop(args: readonly string[]): Promise<Result> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-loop-'));
  try {
    const command = [MAIN, '--once', '--json', '--free-ports', '--folder', folder, ...args];
    const { stdout, stderr } = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, command, { cwd: ROOT }, (_error, stdout, stderr) =>
        resolve({ stdout, stderr }),
      );
    });
    const last = stdout.trimEnd().split('\n').at(-1) ?? '';
    if (!last.startsWith('{')) throw new Error(`it printed no result:\n${stderr}`);
    const result = JSON.parse(last) as Result;
    if (result.reason !== undefined) throw new Error(`${result.reason}\n${stderr}`);
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

function expectClosedLoop(result: Result): void {
  expect(result.reason).toBeUndefined();
  expect(Object.keys(result)).toEqual([
    'ok',
    'predictions',
    'failed',
    'logged',
    'outcomes',
    'versions',
    'swap',
    'elapsed_s',
  ]);
  expect(result).toMatchObject({ ok: true, failed: 0, logged: result.predictions });
  expect(result.outcomes).toBeGreaterThan(1000);
  expect(Object.keys(result.swap)).toEqual([
    ...['from', 'to', 'failed_during'],
    ...['p50_ms_steady', 'p99_ms_steady', 'p99_ms_training', 'p99_ms_during'],
  ]);
  expect(result.swap).toMatchObject({ from: 1, to: 2, failed_during: 0 });
  expect(result.versions.map(({ version }) => version)).toEqual([1, 2]);
  expect(result.versions[1]!.auc).toBeGreaterThan(result.versions[0]!.auc);
  expect(result.elapsed_s).toBeLessThan(180);
}

// Most of a demonstration is waiting for visitors, so both run at the same time.
describe.concurrent('the whole loop on real parts', { timeout: TIMEOUT_MS }, () => {
  it('learns a better version from what simulated visitors do, and swaps it in without a failed request', async () => {
    expectClosedLoop(await closeTheLoop(['--seed', '3']));
  });

  it('learns a better version from real sessions replayed in time order, in a single process', async (context) => {
    if (!existsSync(SESSIONS))
      context.skip('the sessions of the UCI repository are not beside this checkout');
    const result = await closeTheLoop(['--single', '--data', SESSIONS]);
    expectClosedLoop(result);
    // What a plain logistic regression reaches on the same months: version 1's share of the year, and all of it.
    expect(result.versions[0]!.auc).toBeGreaterThanOrEqual(0.852);
    expect(result.versions[1]!.auc).toBeGreaterThanOrEqual(0.883);
  });
});
