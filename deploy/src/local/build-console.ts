import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Builds the console with Vite when it was never built or a source is newer; a published package contains the built
 * console and no sources. A failed build is reported and not thrown, because everything except the console works
 * without it.
 */
export async function buildConsole(
  root: string,
  say: (line: string) => void,
  signal?: AbortSignal,
): Promise<void> {
  const folder = join(root, 'console');
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  try {
    if (!existsSync(join(folder, 'src')) || !existsSync(vite)) return;
    const built = await modifiedAt(join(folder, 'dist', 'index.html'));
    if (built >= (await newestSource(folder))) return;
    say('building the console');
    await run(process.execPath, [vite, 'build', folder, '--logLevel', 'warn'], signal);
  } catch (error) {
    if (signal?.aborted) return;
    say(`the console could not be built: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function newestSource(folder: string): Promise<number> {
  const sources = await readdir(join(folder, 'src'), { recursive: true });
  const files = [...sources.map((name) => join(folder, 'src', name)), join(folder, 'index.html')];
  return Math.max(...(await Promise.all(files.map(modifiedAt))));
}

/** Milliseconds since 1970; 0 for a missing file. */
async function modifiedAt(path: string): Promise<number> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

function run(command: string, args: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    ...(signal ? { signal } : {}),
  });
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2000);
  });
  child.once('error', reject);
  child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(words.trim() || `exit ${code}`))));
  return promise;
}
