import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { currentFacts, releasedFacts, releasedFile } from './current-facts.ts';
import { breaks } from './facts.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

new Command('npm run compatibility --')
  .description(
    'Compares contracts, HTTP APIs, model.yaml and the client library with the last released state',
  )
  .option('--release', 'this state is released: later ones are compared with it')
  .action(async ({ release }: { release?: boolean }) => {
    const current = await currentFacts(ROOT);
    if (release) {
      mkdirSync(dirname(releasedFile(ROOT)), { recursive: true });
      writeFileSync(releasedFile(ROOT), `${JSON.stringify(current, null, 2)}\n`);
      process.stdout.write(`${Object.keys(current).length} facts are kept as released\n`);
      return;
    }
    const found = breaks(releasedFacts(ROOT), current);
    for (const line of found) process.stdout.write(`breaks: ${line}\n`);
    process.stdout.write(
      `${Object.keys(current).length} facts, ${found.length} break users of the last release\n`,
    );
    process.exitCode = found.length === 0 ? 0 : 1;
  })
  .parse();
