import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { buildSite } from './build-site.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

new Command('npm run docs --')
  .description(
    'Builds the documentation as a site that works from disk, with search, and checks all of its links',
  )
  .option('--out <folder>', 'where it goes', join(ROOT, 'deploy', 'dist', 'site'))
  .action(({ out }: { out: string }) => {
    const reference = join(ROOT, 'cli', 'src', 'reference-main.ts');
    const commands = execFileSync(process.execPath, [reference], { encoding: 'utf8' });
    const { pages, broken } = buildSite({
      root: ROOT,
      out: resolve(out),
      commands,
    });
    for (const link of broken) process.stderr.write(`leads nowhere: ${link}\n`);
    process.stdout.write(`${pages} pages in ${resolve(out)}; open index.html\n`);
    if (broken.length > 0) process.exitCode = 1;
  })
  .parse();
