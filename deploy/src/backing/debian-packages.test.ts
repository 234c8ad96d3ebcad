import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchDebianPackages } from './debian-packages.ts';
import { runCommand } from './run-command.ts';
import { systemPrograms } from './system-programs.ts';

const NEVER = new AbortController().signal;
const CACHE_DIR = join(import.meta.dirname, '..', '..', '..', '.hotloop', 'cache');
const FETCH_TIMEOUT_MS = 240_000;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'hotloop-packages-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function hasApt(): Promise<boolean> {
  return (await runCommand('/bin/sh', ['-c', 'command -v apt-get'], { timeoutMs: 5_000 }, NEVER)).code === 0;
}

describe('system programs', () => {
  it('are found again without output: fetched once, or on the PATH', async () => {
    const log: string[] = [];
    const options = {
      needed: ['redis', 'kcat'] as const,
      cacheDir: CACHE_DIR,
      log: (line: string) => log.push(line),
    };
    const first = await systemPrograms(options, NEVER);
    expect(await systemPrograms(options, NEVER)).toEqual(first);
    expect(log).toEqual([]);
    expect(Object.keys(first).sort()).toEqual(['kcat', 'redis']);
  });
});

describe('packages of Debian', () => {
  it(
    'are unpacked whole or not at all, and kept for the next time',
    async (context) => {
      if (!(await hasApt())) context.skip('there is no apt here');
      const cacheDir = join(dir, 'fetched');
      const log: string[] = [];
      const tried: string[] = [];
      const options = {
        packages: ['kcat'],
        cacheDir,
        log: (line: string) => log.push(line),
        works: async (root: string) => {
          tried.push(root);
          return (await readdir(join(root, 'usr', 'bin'))).includes('kcat');
        },
      };
      const fetched = await fetchDebianPackages(options, NEVER).catch((error: Error) => error);
      if (fetched instanceof Error) context.skip(`apt does not reach its packages: ${fetched.message}`);
      // Tried where it was unpacked, before it was moved to its final place.
      expect(tried[0]).toContain('draft-');
      expect(log.length).toBeGreaterThan(0);
      const said = log.length;
      expect(await fetchDebianPackages(options, NEVER)).toEqual(fetched);
      expect(log).toHaveLength(said);
      expect(await readdir(cacheDir)).toHaveLength(1);
    },
    FETCH_TIMEOUT_MS,
  );

  it('leave nothing behind when the fetch is aborted', async (context) => {
    if (!(await hasApt())) context.skip('there is no apt here');
    const cacheDir = join(dir, 'aborted');
    await mkdir(cacheDir);
    const abort = new AbortController();
    const options = {
      packages: ['kcat'],
      cacheDir,
      log: () => abort.abort(new Error('interrupted')),
      works: async () => true,
    };
    await expect(fetchDebianPackages(options, abort.signal)).rejects.toThrow('interrupted');
    expect(await readdir(cacheDir)).toEqual([]);
  });
});
