import type { Log } from '@hotloop/platform/log.ts';
import type { NodeReport, VersionReport } from './node-report.ts';

const EVERY_MS = 2_000;

/** Reports at once on a change, and every two seconds. Only one report runs at a time; failures are retried. */
export interface Heartbeat extends AsyncDisposable {
  changed(): void;
}

export function startHeartbeat(
  report: NodeReport,
  versions: () => readonly VersionReport[],
  log: Log,
): Heartbeat {
  let writing: Promise<void> | undefined;
  let again = false;
  let failures = 0;
  let stopped = false;

  async function write(): Promise<void> {
    do {
      again = false;
      try {
        await report.write(versions());
        failures = 0;
      } catch (error) {
        failures++;
        if (failures === 1) log.warn({ error }, 'the state of this node could not be reported; trying again');
      }
    } while (again && !stopped);
  }
  function beat(): void {
    if (stopped) return;
    if (writing) {
      again = true;
      return;
    }
    writing = write().finally(() => {
      writing = undefined;
    });
  }
  const timer = setInterval(beat, EVERY_MS);
  beat();
  return {
    changed: beat,
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearInterval(timer);
      await writing;
      await report
        .clear()
        .catch((error: unknown) => log.warn({ error }, 'the node could not be deregistered'));
    },
  };
}
