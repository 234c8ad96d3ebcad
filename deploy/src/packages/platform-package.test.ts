import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { buildPlatformPackage } from './build-packages.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..', '..');

describe('the published platform', { timeout: 120_000 }, () => {
  it('is compiled, names no TypeScript file, and starts', async () => {
    // Inside the project, where the compiler and the command find the packages that npm would install beside it.
    await mkdir(join(ROOT, 'deploy', 'dist'), { recursive: true });
    const out = await mkdtemp(join(ROOT, 'deploy', 'dist', 'test-'));
    try {
      buildPlatformPackage(ROOT, out);
      const files = (await readdir(out, { recursive: true, withFileTypes: true })).filter((file) =>
        file.isFile(),
      );
      expect(files.filter(({ name }) => name.endsWith('.ts')).map(({ name }) => name)).toEqual([]);
      expect(files.filter(({ name }) => name.endsWith('.sql')).length).toBeGreaterThan(3);
      const named = /(?:from|import\(|new URL\()\s*'([^']+\.ts)'/;
      for (const { name, parentPath } of files)
        if (name.endsWith('.js')) expect(await readFile(join(parentPath, name), 'utf8')).not.toMatch(named);
      const { stdout } = await run(process.execPath, [
        join(out, 'cli', 'bin', 'hotloop.mjs'),
        'up',
        '--help',
      ]);
      expect(stdout).toContain('--port-base');
      const up = join(out, 'deploy', 'src', 'up', 'main.js');
      expect((await run(process.execPath, [up, '--help'])).stdout).toContain('--listen');
    } finally {
      await rm(out, { recursive: true, force: true });
    }
  });
});
