// Loaded into a service before anything else (`--import=file:///.../collect-on-signal.ts?folder=...`): on SIGUSR2 it
// runs a full garbage collection and writes the remaining memory into PID.json. Otherwise a process whose heap grows
// to its usual size would look like a leak.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const folder = new URL(import.meta.url).searchParams.get('folder') ?? '';

if (isMainThread) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    // The second collection frees what finalizers of the first one released.
    collect();
    collect();
    const file = join(folder, `${process.pid}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()));
    renameSync(`${file}.new`, file);
  });
}
