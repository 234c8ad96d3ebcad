import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { buildPlatformPackage, bundleRuntime, prepareClient, restoreClient } from './build-packages.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const OUT = join(ROOT, 'deploy', 'dist');

function pack(folder: string, destination: string): string {
  mkdirSync(destination, { recursive: true });
  const args = ['pack', '--silent', '--pack-destination', destination];
  return join(destination, execFileSync('npm', args, { cwd: folder, encoding: 'utf8' }).trim());
}

const program = new Command('npm run package --').description('Builds what is published on npm');
program
  .command('platform', { isDefault: true })
  .description('compiles and packs `hotloop`: the command, the services and the local runner')
  .option('--out <folder>', 'where the tarball goes', OUT)
  .action(({ out }: { out: string }) => {
    const folder = join(OUT, 'hotloop');
    buildPlatformPackage(ROOT, folder);
    bundleRuntime(ROOT, folder);
    process.stdout.write(`${pack(folder, resolve(out))}\n`);
  });
program
  .command('client')
  .description('compiles and packs `@hotloop/client`; the same as `npm pack` in client-sdk')
  .option('--out <folder>', 'where the tarball goes', OUT)
  .action(({ out }: { out: string }) => {
    process.stdout.write(`${pack(join(ROOT, 'client-sdk'), resolve(out))}\n`);
  });
program.command('prepare-client', { hidden: true }).action(() => prepareClient(ROOT));
program.command('restore-client', { hidden: true }).action(() => restoreClient(ROOT));
program.parse();
