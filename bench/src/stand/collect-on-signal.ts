// Loaded into a service before anything else (`--import=file:///…/collect-on-signal.ts?folder=…`): on SIGUSR2 it collects all garbage and
// writes into PID.json what is left. Without it a process whose heap grows to its usual size looks like one that leaks.
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
    // What finalizers of the first collection let go, the second takes.
    collect();
    collect();
    const file = join(folder, `${process.pid}.json`);
    writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()));
    renameSync(`${file}.new`, file);
  });
}
