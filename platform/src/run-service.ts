import { toHotloopError } from '@hotloop/proto/errors.ts';
import { createLog } from './log.ts';
import { tuneMemory } from './tune-memory.ts';

/**
 * Runs a service's `main` as this process and exits with its result: 0 when it resolves, 1 when it rejects, after one
 * line on stderr that says why. For an unexpected error that line has no details, so its cause is logged before.
 * `stopping` resolves at the first SIGTERM or SIGINT; later signals are ignored, because draining has begun.
 */
export function runService(name: string, main: (stopping: Promise<void>) => Promise<void>): void {
  tuneMemory();
  main(stopSignal()).then(
    () => process.exit(0),
    (error: unknown) => {
      const known = toHotloopError(error);
      if (known.code === 'INTERNAL')
        createLog({ service: name, level: 'error' }).error({ error }, 'the service failed');
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
