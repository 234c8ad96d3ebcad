import { BackingServiceError } from './backing-service-error.ts';
import { type SystemProgramKind, systemPrograms } from './system-programs.ts';

/**
 * Run by the set-up script: `node fetch-system-programs.ts CACHE_DIR redis kcat`. Downloads what is missing, reports
 * on stderr, and on failure exits with 1 and one line that says what to type.
 */
async function fetchSystemPrograms([cacheDir, ...kinds]: readonly string[]): Promise<void> {
  if (cacheDir === undefined) throw new Error('usage: fetch-system-programs.ts CACHE_DIR [redis] [kcat]');
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  const needed = kinds.filter((kind): kind is SystemProgramKind => kind === 'redis' || kind === 'kcat');
  const log = (line: string): void => void process.stderr.write(`hotloop: ${line}\n`);
  try {
    await systemPrograms({ needed, cacheDir, log }, interrupted.signal);
  } catch (error) {
    if (!interrupted.signal.aborted && !(error instanceof BackingServiceError)) throw error;
    if (error instanceof BackingServiceError) log(error.message);
    process.exitCode = interrupted.signal.aborted ? 130 : 1;
  }
}

await fetchSystemPrograms(process.argv.slice(2));
