import { dirname, join } from 'node:path';
import { pythonWith } from '@hotloop/compute/testing/python-client.ts';
import { fetchDebianPackages } from '../deploy/src/backing/debian-packages.ts';
import { runCommand } from '../deploy/src/backing/run-command.ts';

const CACHE = join(import.meta.dirname, '..', '.hotloop', 'cache', 'system');
const PROBE_MS = 10_000;

/** How to start it: its path and its whole environment. */
export interface PerfAnalyzer {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Wheels of tritonclient bring the program up to 2.60. From 2.52 on it wants a newer C library, and nothing else. */
const NEWEST = { wheel: 'tritonclient==2.60.0', glibcMinor: 38 };
const BEFORE = { wheel: 'tritonclient==2.51.0', glibcMinor: 34 };
/** What the older one is linked with and its wheel lacks. */
const CUDA_RUNTIME = 'nvidia-cuda-runtime-cu12==12.9.79';
const BASE64 = 'libb64-0d';

/**
 * NVIDIA's perf_analyzer as published, in the newest version that this system's C library can run; fetched on first use
 * and kept in the project's cache. Returns why not where there is none for this system, or it cannot be fetched.
 */
export async function fetchPerfAnalyzer(signal: AbortSignal): Promise<PerfAnalyzer | { reason: string }> {
  const minor = await glibcMinor(signal);
  if (minor < BEFORE.glibcMinor)
    return { reason: `perf_analyzer needs Linux with glibc 2.${BEFORE.glibcMinor} or newer` };
  const isNewest = minor >= NEWEST.glibcMinor;
  const packages = isNewest ? [NEWEST.wheel] : [BEFORE.wheel, CUDA_RUNTIME];
  const name = `perf-analyzer-${isNewest ? 'newest' : 'before'}`;
  const found = await pythonWith(name, packages, { withDependencies: false });
  if ('reason' in found) return found;
  const command = join(dirname(found.python), 'perf_analyzer');
  try {
    const libraries = isNewest ? '' : await librariesOfTheOlder(command, found.python, signal);
    const program = { command, env: environment(libraries) };
    return (await works(program, signal)) ? program : { reason: 'perf_analyzer does not run here' };
  } catch (error) {
    signal.throwIfAborted();
    return { reason: `${BASE64} cannot be fetched here (${error instanceof Error ? error.message : error})` };
  }
}

async function librariesOfTheOlder(command: string, python: string, signal: AbortSignal): Promise<string> {
  const where = 'import sysconfig; print(sysconfig.get_path("purelib"))';
  const { stdout } = await runCommand(python, ['-c', where], { timeoutMs: PROBE_MS }, signal);
  const cuda = join(stdout.trim(), 'nvidia', 'cuda_runtime', 'lib');
  const tree = await fetchDebianPackages(
    {
      packages: [BASE64],
      cacheDir: CACHE,
      log: () => undefined,
      works: (_root, libraries) => works({ command, env: environment(`${libraries}:${cuda}`) }, signal),
    },
    signal,
  );
  return `${tree.libraries}:${cuda}`;
}

function environment(libraries: string): Record<string, string> {
  return { LC_ALL: 'C', ...(libraries === '' ? {} : { LD_LIBRARY_PATH: libraries }) };
}

async function works({ command, env }: PerfAnalyzer, signal: AbortSignal): Promise<boolean> {
  return (await runCommand(command, ['--version'], { env, timeoutMs: PROBE_MS }, signal)).code === 0;
}

/** Of glibc's version 2.x; 0 where the C library is another. */
async function glibcMinor(signal: AbortSignal): Promise<number> {
  const { stdout } = await runCommand('getconf', ['GNU_LIBC_VERSION'], { timeoutMs: PROBE_MS }, signal);
  return Number(/^glibc 2\.(\d+)/.exec(stdout)?.[1] ?? 0);
}
