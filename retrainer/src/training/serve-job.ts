import { rmSync } from 'node:fs';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import type { JobMessage } from './job-process.ts';

/** How often the process looks at its own memory. */
const memoryCheckMs = 200;

/**
 * The child's side of `runJobProcess`: runs one job in the directory that is this process's first argument, says how it
 * went, and ends the process. Ends it at once, removing the directory, when the parent is gone.
 *
 * @param run does the work; it may report its progress.
 */
export async function serveJob<Progress, Result>(
  run: (directory: string, report: (progress: Progress) => void) => Promise<Result>,
): Promise<never> {
  const [directory = '', memoryLimitMb = ''] = process.argv.slice(2);
  const endOrphaned = () => {
    rmSync(directory, { recursive: true, force: true });
    process.exit(1);
  };
  process.on('disconnect', endOrphaned);
  // The parent may have ended while this process was still loading its code.
  if (!process.connected) endOrphaned();
  // Ctrl-C in a terminal reaches the whole group; the parent decides when its job ends.
  process.on('SIGINT', () => {});

  const { report, flush } = reportNewest<Progress>();
  let message: JobMessage<Progress, Result>;
  try {
    const result = await Promise.race([run(directory, report), memoryExceeded(Number(memoryLimitMb))]);
    message = { kind: 'done', result };
  } catch (error) {
    // The whole error, for the parent's log; what may be shown goes over the channel.
    console.error(error);
    const { code, message: text, reason } = toHotloopError(error);
    message = { kind: 'failed', code, message: text, reason };
  }
  await flush();
  await send(message);
  process.exit(message.kind === 'done' ? 0 : 1);
}

function send(message: JobMessage<unknown, unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!process.send)
      reject(new HotloopError('FAILED_PRECONDITION', 'this program is started by a parent only'));
    else process.send(message, undefined, {}, (error) => (error ? reject(error) : resolve()));
  });
}

/** Sends reports one at a time: while one is under way only the newest of the others waits. */
function reportNewest<Progress>(): { report: (progress: Progress) => void; flush: () => Promise<void> } {
  const waiting: Progress[] = [];
  let sending: Promise<void> | null = null;
  const sendAll = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      await send({ kind: 'progress', progress: next });
    }
    sending = null;
  };
  return {
    report: (progress) => {
      waiting.splice(0, 1, progress);
      // A report that cannot be sent means that the parent is gone: `disconnect` ends the process.
      sending ??= sendAll().catch(() => {});
    },
    flush: async () => {
      await sending;
    },
  };
}

/** Rejects once the process is larger than it may be. The runtime's memory is outside the heap, so the whole counts. */
function memoryExceeded(limitMb: number): Promise<never> {
  return new Promise((_, reject) => {
    setInterval(() => {
      if (process.memoryUsage.rss() <= limitMb * 2 ** 20) return;
      const message = `the job needs more than the ${limitMb} MB of memory it may use; give it fewer examples or more memory`;
      reject(new HotloopError('RESOURCE_EXHAUSTED', message));
    }, memoryCheckMs);
  });
}
