import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildImageTree } from '../images/image-tree.ts';
import { startInChroot } from '../images/start-in-chroot.ts';
import { buildPlatformPackage } from './build-packages.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..', '..');
const isRoot = process.getuid?.() === 0;

describe('the compiled platform', { timeout: 120_000 }, () => {
  let folder: string;
  let compiled: string;

  beforeAll(async () => {
    // Inside the project, where the compiler and the command find the packages that npm would install beside it.
    await mkdir(join(ROOT, 'deploy', 'dist'), { recursive: true });
    folder = await mkdtemp(join(ROOT, 'deploy', 'dist', 'test-'));
    compiled = join(folder, 'compiled');
    // The types of the sources are checked by `npm run types`; the first test checks the changed imports.
    buildPlatformPackage(ROOT, compiled, false);
  }, 180_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('names no TypeScript file, and starts as a package', async () => {
    const files = (await readdir(compiled, { recursive: true, withFileTypes: true })).filter((file) =>
      file.isFile(),
    );
    expect(files.filter(({ name }) => name.endsWith('.ts')).map(({ name }) => name)).toEqual([]);
    expect(files.filter(({ name }) => name.endsWith('.sql')).length).toBeGreaterThan(3);
    const named = /(?:from|import\(|new URL\()\s*'([^']+\.ts)'/;
    const paths = new Set(files.map(({ name, parentPath }) => join(parentPath, name)));
    const missing: string[] = [];
    for (const path of paths) {
      if (!path.endsWith('.js')) continue;
      const text = await readFile(path, 'utf8');
      expect(text).not.toMatch(named);
      for (const [, imported = ''] of text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g))
        if (!paths.has(join(dirname(path), imported))) missing.push(`${path}: ${imported}`);
    }
    expect(missing).toEqual([]);
    expect(paths.size).toBeGreaterThan(500);
    const { stdout } = await run(process.execPath, [
      join(compiled, 'cli', 'bin', 'hotloop.mjs'),
      'up',
      '--help',
    ]);
    expect(stdout).toContain('--port-base');
    const up = join(compiled, 'deploy', 'src', 'up', 'main.js');
    expect((await run(process.execPath, [up, '--help'])).stdout).toContain('--listen');
  });

  // `npm run drill -- images` does this for every image.
  it.runIf(isRoot)(
    'holds in the image of compute all that it and its runner need, and no other service',
    async () => {
      const root = join(folder, 'root');
      const tree = {
        compiled,
        modules: join(ROOT, 'node_modules'),
        out: join(root, 'app'),
        platform: process.platform,
        arch: process.arch,
      };
      const [start] = buildImageTree('compute', tree);
      expect(await startInChroot(root, start ?? '')).toContain('DATABASE_URL is not set');
      const runner = await startInChroot(root, 'compute/src/runner/runner-main.js');
      expect(runner).not.toMatch(/ERR_MODULE_NOT_FOUND|Cannot find/);
      // A tree that lacks a package is found out.
      await rm(join(root, 'app', 'node_modules', '@grpc'), { recursive: true });
      expect(await startInChroot(root, start ?? '')).toContain('Cannot find package');
    },
  );
});
