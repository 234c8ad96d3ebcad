import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processIdentity } from '../deploy/src/backing/process-identity.ts';

const ROOT = join(import.meta.dirname, '..');
const SCRIPTS = join(ROOT, 'scripts');
const GONE_WITHIN_MS = 20_000;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hotloop-bootstrap-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function node(...args: string[]): ChildProcess {
  return spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
}

async function resultOf(child: ChildProcess): Promise<Result> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (text) => {
    stdout += String(text);
  });
  child.stderr?.on('data', (text) => {
    stderr += String(text);
  });
  await once(child, 'close');
  return { code: child.exitCode, stdout, stderr };
}

/** Runs `script` through the set-up's child runner, in a process of its own, and resolves with its first line. */
async function runThroughRunner(
  script: string,
): Promise<{ runner: ChildProcess; firstLine: string; lines: string[] }> {
  const runner = node(
    '--input-type=module',
    '-e',
    `const { ChildRunner } = await import(${JSON.stringify(join(SCRIPTS, 'child-process.mjs'))});
     const runner = new ChildRunner();
     try { process.exitCode = (await runner.run(process.execPath, ['-e', ${JSON.stringify(script)}], { stopGraceMs: 2000 })).exitCode; }
     catch (error) { process.exitCode = error.exitCode; }
     runner.close();`,
  );
  const lines: string[] = [];
  const reader = createInterface({ input: runner.stdout ?? process.stdin });
  reader.on('line', (line) => lines.push(line));
  await once(reader, 'line');
  return { runner, firstLine: lines[0] ?? '', lines };
}

async function gone(pid: number): Promise<boolean> {
  const until = performance.now() + GONE_WITHIN_MS;
  while ((await processIdentity(pid)) !== undefined) {
    if (performance.now() > until) return false;
    await delay(20);
  }
  return true;
}

describe('the set-up script', () => {
  it.each([[[]], [['strat']]])('lists the commands when given %j', async (args: string[]) => {
    const { code, stdout, stderr } = await resultOf(node(join(SCRIPTS, 'bootstrap.mjs'), ...args));
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/start .*\n.*test .*\n.*check .*\n.*tour .*\n.*bench /);
  });
});

describe('a command run through it', () => {
  const COUNTS = `
    let signals = 0;
    process.on('SIGINT', () => { signals += 1; setTimeout(() => { console.log(signals); process.exit(7); }, 200); });
    setInterval(() => {}, 1000);
    console.log(process.pid);`;

  it('receives a repeated Ctrl-C exactly once, and its exit code is passed on', async () => {
    const { runner, lines } = await runThroughRunner(COUNTS);
    // It may end before the second signal on a busy machine.
    const closed = once(runner, 'close');
    runner.kill('SIGINT');
    await delay(20);
    runner.kill('SIGINT');
    await closed;
    expect(lines.at(-1)).toBe('1');
    expect(runner.exitCode).toBe(7);
  });

  it('that ends by a signal exits with the code of that signal', async () => {
    const { runner } = await runThroughRunner(`console.log('up'); setInterval(() => {}, 1000)`);
    runner.kill('SIGTERM');
    await once(runner, 'close');
    expect(runner.exitCode).toBe(143);
  });

  it('ends its own children when it ends', async () => {
    const { runner, firstLine } = await runThroughRunner(`
      const child = require('node:child_process').spawn('sleep', ['600'], { stdio: 'ignore' });
      console.log(child.pid);
      setTimeout(() => process.exit(0), 100);`);
    await once(runner, 'close');
    expect(runner.exitCode).toBe(0);
    expect(await gone(Number(firstLine))).toBe(true);
  });

  it('ends after the set-up script is killed, even if it ignores the signal', async () => {
    const { runner, firstLine } = await runThroughRunner(
      `process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)`,
    );
    runner.kill('SIGKILL');
    expect(await gone(Number(firstLine))).toBe(true);
  });
});

describe('the set-up lock', () => {
  const TAKE = `
    const { takeSetUpLock } = await import(process.argv[1]);
    const release = await takeSetUpLock(process.argv[2], (line) => console.log('said ' + line), () => {});
    console.log('taken');
    process.stdin.once('data', () => { release(); process.exit(0); });`;
  const take = (file: string): ChildProcess =>
    spawn(process.execPath, ['--input-type=module', '-e', TAKE, join(SCRIPTS, 'set-up-lock.mjs'), file], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  const nextLine = async (child: ChildProcess): Promise<string> => {
    const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), 'line');
    return String(line);
  };

  it('makes a second set-up wait for the first, with a message', async () => {
    const file = join(dir, 'waits.lock');
    const first = take(file);
    expect(await nextLine(first)).toBe('taken');
    const second = take(file);
    const reader = createInterface({ input: second.stdout ?? process.stdin });
    expect(String((await once(reader, 'line'))[0])).toContain(`process ${first.pid}`);
    const taken = once(reader, 'line');
    first.stdin?.write('go\n');
    expect(String((await taken)[0])).toBe('taken');
    second.stdin?.write('go\n');
    await once(second, 'exit');
  });

  it('is taken over from a killed process', async () => {
    const file = join(dir, 'killed.lock');
    const first = take(file);
    expect(await nextLine(first)).toBe('taken');
    first.kill('SIGKILL');
    await once(first, 'exit');
    const second = take(file);
    expect(await nextLine(second)).toBe('taken');
    second.stdin?.write('go\n');
    await once(second, 'exit');
  });
});

describe('the last line of a test run', () => {
  interface Counts {
    readonly passed: number;
    readonly failed: number;
    readonly skipped: number;
  }
  interface TestSummary {
    failedTestFiles(file: string): string[];
    readTestCounts(file: string, exitCode: number, except?: readonly string[]): Counts;
    summaryLine(counts: Counts): string;
  }

  const suite = (status: string, ...tests: string[]) => ({
    status,
    assertionResults: tests.map((test) => ({ status: test })),
  });

  it.each([
    ['all well', [suite('passed', 'passed', 'passed')], 0, '2 passed, 0 failed'],
    ['a failing test', [suite('failed', 'passed', 'failed')], 1, '1 passed, 1 failed'],
    ['a skipped test', [suite('passed', 'passed', 'skipped', 'pending')], 0, '1 passed, 0 failed, 2 skipped'],
    ['a file that does not load', [suite('failed'), suite('passed', 'passed')], 1, '1 passed, 1 failed'],
    ['an error outside of tests', [suite('passed', 'passed')], 1, '1 passed, 1 failed'],
  ])('counts %s', async (name, testResults, exitCode, line) => {
    const { readTestCounts, summaryLine }: TestSummary = await import(join(SCRIPTS, 'test-summary.mjs'));
    const file = join(dir, `${name}.json`);
    await writeFile(file, JSON.stringify({ testResults }));
    expect(summaryLine(readTestCounts(file, exitCode))).toBe(line);
  });

  it('leaves out failing files that were run again, and only those', async () => {
    const { failedTestFiles, readTestCounts, summaryLine }: TestSummary = await import(
      join(SCRIPTS, 'test-summary.mjs')
    );
    const file = join(dir, 'again.json');
    const testResults = [
      { ...suite('failed', 'passed', 'failed'), name: 'a.test.ts' },
      { ...suite('passed', 'passed'), name: 'b.test.ts' },
    ];
    await writeFile(file, JSON.stringify({ testResults }));
    expect(failedTestFiles(file)).toEqual(['a.test.ts']);
    expect(summaryLine(readTestCounts(file, 1, failedTestFiles(file)))).toBe('1 passed, 0 failed');
    expect(failedTestFiles(join(dir, 'none.json'))).toEqual([]);
  });

  it('is a failure without a report', async () => {
    const { readTestCounts, summaryLine }: TestSummary = await import(join(SCRIPTS, 'test-summary.mjs'));
    expect(summaryLine(readTestCounts(join(dir, 'none.json'), 0))).toBe('0 passed, 1 failed');
  });
});

interface LockedPackage {
  readonly dependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

/** Needed packages, those of other platforms included, that the lock does not hold where Node would look for them. */
function packagesNotLocked(packages: Readonly<Record<string, LockedPackage>>): string[] {
  const isLocked = (from: string, name: string): boolean => {
    const folders = from.split('/node_modules/');
    for (let depth = folders.length; depth > 0; depth -= 1) {
      if (`${folders.slice(0, depth).join('/node_modules/')}/node_modules/${name}` in packages) return true;
    }
    return `node_modules/${name}` in packages;
  };
  return Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
      .filter((name) => !isLocked(path, name))
      .map((name) => `${path} needs ${name}`),
  );
}

describe('package-lock.json', () => {
  it('contains every package of every platform, without which npm ci refuses to install', async () => {
    const text = await readFile(join(ROOT, 'package-lock.json'), 'utf8');
    const { packages }: { packages: Record<string, LockedPackage> } = JSON.parse(text);
    expect(packagesNotLocked(packages)).toEqual([]);
  });

  it('fails the check if one is missing', () => {
    const lock = {
      'node_modules/tool': { optionalDependencies: { 'tool-linux': '1', 'tool-darwin': '1' } },
      'node_modules/tool-linux': {},
      'node_modules/host': { dependencies: { nested: '1' } },
      'node_modules/host/node_modules/nested': { dependencies: { tool: '1' } },
    };
    expect(packagesNotLocked(lock)).toEqual(['node_modules/tool needs tool-darwin']);
  });
});
