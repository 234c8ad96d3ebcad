import type { RawType, RawValue } from './encoder.ts';
import type { HistoryFunction } from './feature-source.ts';
import type { HistoryEvent } from './history.ts';

const JS_TYPE = { number: 'number', text: 'string', flag: 'boolean' } as const;

/**
 * Applies a history function to events, newest first, that happened at or after `sinceMs`.
 * count, sum: 0 when there are none. mean, seconds_since, last: nothing when there are none; last(n) gives up to n
 * values, newest first. Events whose field is absent or of another type are passed over: they are others' data, and
 * no reason to refuse this caller.
 */
export function historyValues(
  fold: HistoryFunction,
  type: RawType,
  events: readonly HistoryEvent[],
  sinceMs: number,
  nowMs: number,
  out: RawValue[],
): void {
  out.length = 0;
  let count = 0;
  let sum = 0;
  for (const event of events) {
    if (event.atMs < sinceMs) break;
    if (fold.kind === 'count') count++;
    else if (fold.kind === 'seconds_since') {
      // An event from a clock ahead of ours happened just now.
      out.push(Math.max(0, nowMs - event.atMs) / 1000);
      return;
    } else if (fold.kind === 'last') {
      const value = event.fields[fold.field];
      if (typeof value !== JS_TYPE[type]) continue;
      out.push(value as RawValue);
      if (out.length === fold.count) return;
    } else {
      const value = event.fields[fold.field];
      if (typeof value !== 'number' && typeof value !== 'boolean') continue;
      count++;
      sum += Number(value);
    }
  }
  if (fold.kind === 'count') out.push(count);
  else if (fold.kind === 'sum') out.push(sum);
  else if (fold.kind === 'mean' && count > 0) out.push(sum / count);
}
