import type { EventArchive } from '@hotloop/platform/archive/event-archive.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { HISTORY_AGE_MS, type History } from '../history/history.ts';
import { entriesOf } from '../parse-event.ts';
import type { EventSpool } from './event-spool.ts';

export interface BackfillDependencies {
  readonly history: History;
  readonly archive: Pick<EventArchive, 'read'>;
  readonly spool: Pick<EventSpool, 'flush'>;
  readonly clock: Clock;
}

export interface BackfillRequest {
  /** Event types to backfill. */
  readonly types: readonly string[];
  /** Only events since this time; events older than the history's retention are skipped in any case. */
  readonly sinceMs: number;
}

export interface Backfilled {
  readonly events: number;
  readonly seconds: number;
}

/**
 * Backfills archived events of some types into the history while it serves: for a new window, or a history that has
 * lost some events. Existing events are unchanged. Only one run at a time: FAILED_PRECONDITION while another is
 * running.
 */
export function createBackfill({ history, archive, spool, clock }: BackfillDependencies) {
  let busy = false;
  return async ({ types, sinceMs }: BackfillRequest, signal: AbortSignal): Promise<Backfilled> => {
    if (busy)
      throw new HotloopError(
        'FAILED_PRECONDITION',
        'another backfill is running; try again when it is done',
        {
          reason: 'backfill_at_work',
        },
      );
    busy = true;
    try {
      const begun = clock.monotonic();
      await spool.flush();
      const nowMs = clock.now();
      const range = {
        sinceMs: Math.max(sinceMs, nowMs - HISTORY_AGE_MS),
        untilMs: Number.MAX_SAFE_INTEGER,
        types,
      };
      let events = 0;
      for await (const batch of archive.read(range)) {
        signal.throwIfAborted();
        await history.append(
          batch.flatMap((event) => entriesOf(event, event.arrivalUs)),
          nowMs,
          signal,
        );
        events += batch.length;
      }
      return { events, seconds: (clock.monotonic() - begun) / 1000 };
    } finally {
      busy = false;
    }
  };
}

export type Backfill = ReturnType<typeof createBackfill>;
