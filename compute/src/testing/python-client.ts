import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../../.hotloop/cache', import.meta.url));
const INSTALL_MS = 180_000;

/**
 * A Python interpreter with the given packages, cached in the project and created on first use. Returns the reason
 * when this machine has no Python or cannot download them.
 */
export async function pythonWith(
  name: string,
  packages: readonly string[],
  { withDependencies = true, installMs = INSTALL_MS } = {},
): Promise<{ python: string } | { reason: string }> {
  const folder = join(CACHE, name);
  const python = join(folder, 'bin', 'python');
  if (existsSync(python)) return { python };
  // A partially created environment has another name, so that it is not used.
  const unfinished = join(CACHE, `${name}.unfinished`);
  try {
    await mkdir(dirname(folder), { recursive: true });
    await rm(unfinished, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', unfinished], { timeout: INSTALL_MS });
    const pip = ['-m', 'pip', 'install', '--quiet', ...(withDependencies ? [] : ['--no-deps']), ...packages];
    await run(join(unfinished, 'bin', 'python'), pip, { timeout: installMs });
    await rename(unfinished, folder);
    return { python };
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    return { reason: `${packages.join(', ')} cannot be installed here (${first})` };
  }
}
