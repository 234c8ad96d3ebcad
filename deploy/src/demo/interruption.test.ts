import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

/** Processes that use a folder: it occurs in their command line, environment or working directory. */
async function processesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue;
    const read = (name: string) => readFile(join('/proc', pid, name), 'utf8').catch(() => '');
    const [command, environment, state] = await Promise.all([read('cmdline'), read('environ'), read('stat')]);
    const cwd = await readlink(join('/proc', pid, 'cwd')).catch(() => '');
    if (/\) [ZX] /.test(state)) continue;
    if ([command, environment, cwd].some((text) => text.includes(folder)))
      found.push(`${pid} ${command.replaceAll('\0', ' ').slice(0, 120)}`);
  }
  return found;
}

interface Running {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly folder: string;
  /** Resolves when a line of its output contains the text. */
  said(text: string): Promise<void>;
  readonly ended: Promise<number | null>;
}

async function startDemo(args: readonly string[] = []): Promise<Running & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-interrupted-'));
  const child = spawn(process.execPath, [MAIN, '--free-ports', '--folder', folder, ...args], {
    // The folder's name in the environment marks every process that is started below.
    env: { PATH: process.env.PATH, TMPDIR: folder },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: string[] = [];
  const waiting: { text: string; resolve: () => void }[] = [];
  createInterface({ input: child.stderr! }).on('line', (line) => {
    lines.push(line);
    for (const one of waiting) if (line.includes(one.text)) one.resolve();
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  return {
    child,
    lines,
    folder,
    ended,
    said: (text) =>
      lines.some((line) => line.includes(text))
        ? Promise.resolve()
        : new Promise((resolve, reject) => {
            waiting.push({ text, resolve });
            void ended.then((code) => reject(new Error(`it ended (${code}) before: ${lines.join('\n')}`)));
          }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

describe.runIf(process.platform === 'linux')('a running demonstration', { timeout: 120_000 }, () => {
  for (const [moment, text] of [
    ['while the first lines are written', 'a shop whose visitors'],
    ['while the four services start', 'starting the four services'],
    ['while traffic flows', 'tastes shift'],
  ] as const) {
    it(`leaves no process behind ${moment}`, async () => {
      await using demo = await startDemo();
      await demo.said(text);
      demo.child.kill('SIGINT');
      const code = await demo.ended;
      expect(await processesOf(demo.folder)).toEqual([]);
      expect([0, 130]).toContain(code);
    });
  }

  it('names the running process to a second start, and leaves nothing behind after kill -9', async () => {
    await using demo = await startDemo();
    await demo.said('version 1 of product-ranker is live');
    const second = spawn(process.execPath, [MAIN, '--free-ports', '--folder', demo.folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let talk = '';
    second.stderr.setEncoding('utf8').on('data', (part: string) => {
      talk += part;
    });
    const code = await new Promise((resolve) => second.once('exit', resolve));
    expect(code).toBe(1);
    expect(talk).toContain(`process ${demo.child.pid}`);
    expect(talk).toContain('Ctrl-C');
    // A SIGKILL leaves no process behind either.
    expect((await processesOf(demo.folder)).length).toBeGreaterThan(5);
    demo.child.kill('SIGKILL');
    await expect.poll(() => processesOf(demo.folder), { timeout: 30_000, interval: 250 }).toEqual([]);
  });
});
