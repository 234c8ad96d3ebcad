import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildPlatformPackage } from '../packages/build-packages.ts';
import { buildImageTree } from './image-tree.ts';
import { startInChroot } from './start-in-chroot.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const isRoot = process.getuid?.() === 0;

describe('the file tree of an image', { timeout: 180_000 }, () => {
  // `npm run drill -- images` does this for every image.
  it.runIf(isRoot)('holds all that compute and its runner need, and no other service', async () => {
    await mkdir(join(ROOT, 'deploy', 'dist'), { recursive: true });
    const folder = await mkdtemp(join(ROOT, 'deploy', 'dist', 'image-'));
    try {
      const compiled = join(folder, 'compiled');
      buildPlatformPackage(ROOT, compiled);
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
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
