import { HotloopError } from '@hotloop/proto/errors.ts';
import { Cron } from 'croner';

/** A recurring schedule: a cron pattern in a time zone, or an interval that counts from the last run. */
export type Recurrence = { readonly cron: string; readonly timezone: string } | { readonly everyMs: number };

/** Throws INVALID_ARGUMENT for an invalid pattern or time zone. */
export function checkRecurrence(recurrence: Recurrence): void {
  nextRunAt(recurrence, Date.UTC(2026, 0, 1));
}

/**
 * The first run after `afterMs`, in milliseconds since 1970; null when there is none. At a daylight saving change,
 * cron follows Vixie's rule as implemented by croner: a fixed time that is skipped runs at the change, one that
 * repeats runs once.
 */
export function nextRunAt(recurrence: Recurrence, afterMs: number): number | null {
  if ('everyMs' in recurrence) return afterMs + recurrence.everyMs;
  try {
    const cron = new Cron(recurrence.cron, { timezone: recurrence.timezone, paused: true });
    return cron.nextRun(new Date(afterMs))?.getTime() ?? null;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : '';
    throw new HotloopError('INVALID_ARGUMENT', `the schedule cannot be read: ${why}`, {
      reason: 'bad_schedule',
      cause,
    });
  }
}
