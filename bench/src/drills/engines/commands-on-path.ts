import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { EnginesStand } from '../../stand/engines-stand.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

/**
 * Leaves `hotloop` and `node` in a folder's `bin`, where programs find them that know no other.
 *
 * @returns the environment of such programs, in which they reach the stand.
 */
export async function commandsOnPath(
  { local }: EnginesStand,
  folder: string,
  path: string,
): Promise<Record<string, string>> {
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  const addressed = `[ "$1" = sql ] && [ "\${2:-}" != install ] && set -- "$@" --sql ${local.sqlAddress}`;
  const programs = {
    hotloop: `#!/bin/bash\n${addressed}\nexec "${process.execPath}" "${ROOT}cli/src/main.ts" "$@"\n`,
    node: `#!/bin/bash\nexec "${process.execPath}" "$@"\n`,
  };
  for (const [name, text] of Object.entries(programs)) {
    await writeFile(join(bin, name), text);
    await chmod(join(bin, name), 0o755);
  }
  return {
    PATH: `${bin}${delimiter}${path}`,
    HOME: folder,
    ROOT,
    HOTLOOP_PREPROCESSOR: local.addresses.preprocessor,
    HOTLOOP_RETRAINER: local.addresses.retrainer,
    HOTLOOP_CONTROL: `http://${local.httpAddresses.retrainer}`,
    HOTLOOP_FRONT_DOOR: `http://${local.httpAddresses.preprocessor}`,
    SHOP_DATABASE_ADDRESS: local.backing.databaseUrl,
  };
}
