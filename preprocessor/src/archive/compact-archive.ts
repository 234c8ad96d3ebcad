import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';

const EVERY_MS = 15 * 60_000;
/** Most events of an hour have arrived by then; later ones are merged the next time. */
const REST_MS = 3_600_000;

export interface CompactionDependencies {
  readonly archive: Pick<EventArchive, 'compact'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Periodically merges the archive's files of each type and hour. Several nodes may do so at once: an event that is in
 * two files counts once. Disposal stops it after the current run.
 */
export function startCompaction(
  { archive, clock, log }: CompactionDependencies,
  everyMs = EVERY_MS,
): AsyncDisposable {
  let working: Promise<unknown> | undefined;
  const compact = () => {
    working ??= archive
      .compact(clock.now() - REST_MS)
      .then(
        (gone) => {
          if (gone > 0) log.info({ files: gone }, 'the event archive was compacted');
        },
        (error: unknown) => log.warn({ error }, 'the event archive cannot be compacted now'),
      )
      .finally(() => {
        working = undefined;
      });
  };
  const timer = setInterval(compact, everyMs);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await working;
    },
  };
}
