import { execFile } from 'node:child_process';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CACHE } from '../stand/bench-local.ts';

const run = promisify(execFile);
const INSTALL_MS = 300_000;

/**
 * A Python that can import some packages: the one on the PATH, or one in `.hotloop/cache/python`, into which they are
 * installed. Undefined, with one line that says so, when neither is available.
 *
 * @param packages name of the module to what pip installs, such as `{onnxruntime: 'onnxruntime'}`.
 * @param folder below the cache; another one for packages that want other versions of the same things.
 */
export async function pythonWith(
  packages: Readonly<Record<string, string>>,
  say: (line: string) => void,
  folder = 'python',
): Promise<string | undefined> {
  const modules = Object.keys(packages);
  if (await imports('python3', modules)) return 'python3';
  const own = join(CACHE, folder);
  const python = join(own, 'bin', 'python3');
  if (await imports(python, modules)) return python;
  try {
    await mkdir(CACHE, { recursive: true });
    if (!(await isThere(python))) await run('python3', ['-m', 'venv', own], { timeout: INSTALL_MS });
    await run(python, ['-m', 'pip', 'install', '--quiet', ...Object.values(packages)], {
      timeout: INSTALL_MS,
    });
    if (await imports(python, modules)) return python;
  } catch {
    // Reported below.
  }
  say(`skipped: no Python with ${modules.join(', ')}, and they could not be installed`);
  return undefined;
}

async function imports(python: string, modules: readonly string[]): Promise<boolean> {
  return run(python, ['-c', `import ${modules.join(', ')}`]).then(
    () => true,
    () => false,
  );
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
