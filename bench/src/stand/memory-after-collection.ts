import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { ROOT } from './cluster.ts';

const ANSWER_MS = 10_000;
const POLL_MS = 50;

export interface CollectedMemory {
  /** Bytes of objects and buffers that are still in use after a full garbage collection. */
  readonly usedBytes: number;
  /** Resident bytes of the process at that time. */
  readonly residentBytes: number;
}

/** Memory that processes retain after garbage collection; they are started with `nodeOptions`. */
export interface CollectedMemories {
  readonly nodeOptions: string;
  /** Undefined when the process ends meanwhile or does not answer. */
  of(pid: number): Promise<CollectedMemory | undefined>;
}

/** `folder` is created, and used only for this. */
export function collectedMemories(folder: string): CollectedMemories {
  mkdirSync(folder, { recursive: true });
  const script = pathToFileURL(join(ROOT, 'bench', 'src', 'stand', 'collect-on-signal.ts'));
  script.searchParams.set('folder', folder);
  return {
    nodeOptions: `--import=${script.href}`,
    async of(pid) {
      const file = join(folder, `${pid}.json`);
      rmSync(file, { force: true });
      const end = performance.now() + ANSWER_MS;
      try {
        process.kill(pid, 'SIGUSR2');
        while (performance.now() < end) {
          await delay(POLL_MS);
          const usage = read(file);
          if (usage) return { usedBytes: usage.heapUsed + usage.external, residentBytes: usage.rss };
        }
      } catch {
        // It has ended.
      }
      return undefined;
    },
  };
}

function read(file: string): NodeJS.MemoryUsage | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as NodeJS.MemoryUsage;
  } catch {
    return undefined;
  }
}
