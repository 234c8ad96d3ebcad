import { toHotloopError } from '@hotloop/proto/errors.ts';
import { createLog } from './log.ts';
import { tuneMemory } from './tune-memory.ts';

/**
 * Runs a service's `main` as this process, and ends the process with it: 0 when it resolves, 1 when it rejects, after one
 * line on stderr that says why. An error that nobody foresaw says nothing to the reader of that line, so its cause is
 * logged before. `stopping` resolves at the first SIGTERM or SIGINT; later ones change nothing, because draining has begun.
 */
export function runService(name: string, main: (stopping: Promise<void>) => Promise<void>): void {
  tuneMemory();
  main(stopSignal()).then(
    () => process.exit(0),
    (error: unknown) => {
      const known = toHotloopError(error);
      if (known.code === 'INTERNAL')
        createLog({ service: name, level: 'error' }).error({ error }, 'the service cannot go on');
      process.stderr.write(`${name}: ${known.message}\n`);
      process.exit(1);
    },
  );
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve());
  });
}
