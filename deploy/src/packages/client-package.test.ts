import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startFakeFrontDoor } from '@hotloop/client/testing/fake-front-door.ts';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..', '..');
const MODULES = join(ROOT, 'node_modules');
const PACKED = ['client-sdk', 'proto', 'deploy', 'platform', 'package.json', 'tsconfig.base.json', 'LICENSE'];

/** A copy of what packing needs, because packing replaces package.json for a moment, which other tests must not see. */
async function copyOfTheProject(folder: string): Promise<string> {
  for (const name of PACKED)
    await cp(join(ROOT, name), join(folder, name), {
      recursive: true,
      filter: (path) => !/\/(node_modules|dist)(\/|$)/.test(path.slice(ROOT.length)),
    });
  await symlink(MODULES, join(folder, 'node_modules'));
  return folder;
}

const PROGRAM = `
import { connect, HotloopClientError, type Prediction } from '@hotloop/client';

const address = process.argv[2] ?? '';
// Both addresses are set: at a default address, another server on this machine might answer.
await using hotloop = await connect({ address, retrainerAddress: address });
const prediction: Prediction = await hotloop.predict('churn', { user: 'u1', request: { value: 0.25 } });
const code: string = await hotloop.models.list().then(
  () => 'answered',
  (error: unknown) => (error instanceof HotloopClientError ? error.code : 'unknown'),
);
process.stdout.write(JSON.stringify({ score: prediction.score, code }));
`;

describe('the published package', { timeout: 120_000 }, () => {
  it('is packed, installed elsewhere, compiled against and run', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hotloop-package-'));
    try {
      const project = await copyOfTheProject(await mkdtemp(join(folder, 'project-')));
      const before = await readFile(join(project, 'client-sdk', 'package.json'), 'utf8');
      const { stdout: packed } = await run('npm', ['pack', '--silent', '--pack-destination', folder], {
        cwd: join(project, 'client-sdk'),
      });
      expect(await readFile(join(project, 'client-sdk', 'package.json'), 'utf8')).toBe(before);
      const installed = join(folder, 'app', 'node_modules', '@hotloop', 'client');
      await mkdir(installed, { recursive: true });
      await run('tar', ['-xzf', join(folder, packed.trim()), '-C', installed, '--strip-components=1']);
      for (const name of ['@grpc', '@types'])
        await symlink(join(MODULES, name), join(folder, 'app', 'node_modules', name));

      const app = join(folder, 'app');
      await writeFile(join(app, 'package.json'), '{"type":"module"}');
      await writeFile(join(app, 'program.ts'), PROGRAM);
      const settings = [
        '--module',
        'nodenext',
        '--target',
        'es2024',
        '--strict',
        '--types',
        'node',
        '--lib',
        'esnext',
      ];
      const compiler = join(MODULES, 'typescript', 'bin', 'tsc');
      await run(process.execPath, [compiler, ...settings, 'program.ts'], { cwd: app });

      await using door = await startFakeFrontDoor();
      const { stdout } = await run(process.execPath, ['program.js', door.address], { cwd: app });
      expect(JSON.parse(stdout)).toEqual({ score: 0.25, code: 'UNIMPLEMENTED' });

      expect((await readdir(join(installed, 'dist', 'proto', 'hotloop', 'v1'))).length).toBeGreaterThan(5);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
