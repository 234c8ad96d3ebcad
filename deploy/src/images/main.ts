import { mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { buildPlatformPackage } from '../packages/build-packages.ts';
import { buildImageTree, IMAGES, type ImageName } from './image-tree.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Used by deploy/images/Dockerfile: one folder per image. */
new Command('images')
  .description('Builds the file tree of each image')
  .argument('<out>', 'a folder for each image is made in it')
  .action((out: string) => {
    const compiled = mkdtempSync(join(ROOT, 'deploy', 'image-'));
    try {
      buildPlatformPackage(ROOT, compiled);
      for (const name of Object.keys(IMAGES) as ImageName[])
        buildImageTree(name, {
          compiled,
          modules: join(ROOT, 'node_modules'),
          out: join(resolve(out), name),
          platform: process.platform,
          arch: process.arch,
        });
    } finally {
      rmSync(compiled, { recursive: true, force: true });
    }
  })
  .parse();
