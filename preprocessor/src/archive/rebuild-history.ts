import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { type FillableHistory, HISTORY_AGE_MS } from '../history/history.ts';
import { entriesOf } from '../parse-event.ts';
import type { EventSpool } from './event-spool.ts';

export interface RebuildDependencies {
  readonly history: FillableHistory;
  readonly archive: Pick<EventArchive, 'read'>;
  readonly spool: Pick<EventSpool, 'flush'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Fills a new or emptied history with all archived events that are young enough; returns how many, or undefined when
 * it was already filled. New events may be appended meanwhile: appending in any order, repeatedly, gives the same
 * history, so several nodes may do this at once. Events that other nodes have not shipped yet are added by a second
 * call.
 */
export async function rebuildHistory(
  { history, archive, spool, clock, log }: RebuildDependencies,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (await history.isFilled()) return undefined;
  await spool.flush();
  const nowMs = clock.now();
  let count = 0;
  for await (const events of archive.read({
    sinceMs: nowMs - HISTORY_AGE_MS,
    untilMs: Number.MAX_SAFE_INTEGER,
  })) {
    signal.throwIfAborted();
    await history.append(
      events.flatMap((event) => entriesOf(event, event.arrivalUs)),
      nowMs,
      signal,
    );
    count += events.length;
  }
  await history.markFilled();
  if (count > 0) log.info({ events: count }, 'the history was rebuilt from the archive');
  return count;
}

/** Periodically checks whether the history was emptied, and rebuilds it. Disposal stops it. */
export function watchHistory(dependencies: RebuildDependencies, everyMs = 2000): AsyncDisposable {
  const stop = new AbortController();
  let working: Promise<unknown> = Promise.resolve();
  let busy = false;
  const look = () => {
    if (busy) return;
    busy = true;
    working = rebuildHistory(dependencies, stop.signal)
      .catch((error: unknown) => {
        if (!stop.signal.aborted) dependencies.log.debug({ error }, 'the history cannot be rebuilt yet');
      })
      .finally(() => {
        busy = false;
      });
  };
  look();
  const timer = setInterval(look, everyMs);
  timer.unref();
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await working;
    },
  };
}
