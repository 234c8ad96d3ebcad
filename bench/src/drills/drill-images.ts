import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildImageTree, IMAGES, type ImageName } from '@hotloop/deploy/images/image-tree.ts';
import { startInChroot } from '@hotloop/deploy/images/start-in-chroot.ts';
import { buildPlatformPackage } from '@hotloop/deploy/packages/build-packages.ts';
import { type Figure, figure } from '../figure.ts';
import type { Drill } from './drill.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Builds the file tree of each container image and starts it in a chroot (as root): `images_started` is the number of
 * images that got as far as reading their settings, or the model that they serve.
 */
export const drillImages: Drill = async ({ say }): Promise<Figure[]> => {
  const folder = await mkdtemp(join(ROOT, 'deploy', 'image-'));
  try {
    const compiled = join(folder, 'compiled');
    buildPlatformPackage(ROOT, compiled);
    const names = Object.keys(IMAGES) as ImageName[];
    let started = 0;
    for (const name of names) {
      const root = join(folder, name);
      const modules = join(ROOT, 'node_modules');
      const { platform, arch } = process;
      const start = buildImageTree(name, { compiled, modules, out: join(root, 'app'), platform, arch });
      const said = await startInChroot(root, start[0] ?? '');
      const isWell = said.includes(
        name === 'serverless' ? 'there is no fused file at' : 'DATABASE_URL is not set',
      );
      if (isWell) started++;
      say(`${name}: ${isWell ? 'starts' : said.slice(0, 500)}`);
      await rm(root, { recursive: true, force: true });
    }
    return [figure('images_started', [started], { atLeast: names.length })];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
