import type { Clock } from '@hotloop/platform/clock.ts';

/** Computing may take this share of the time, however often it is asked for. */
const DUTY = 0.05;
const SHORTEST_MS = 100;
/** A caller waits for a new value when the last one took no longer. */
const QUICK_MS = 250;

/**
 * Computes at most one at a time, and again only after twenty times as long as the last one took; until then callers get
 * the last value. They wait for the first value alone: a later one is computed behind them, unless it is quick. When it
 * cannot be computed the last value stays.
 */
export function sparingly<T>(compute: () => Promise<T>, clock: Clock): () => Promise<T> {
  let last: { readonly value: T } | null = null;
  let freshUntil = Number.NEGATIVE_INFINITY;
  let tookMs = 0;
  let computing: Promise<T> | null = null;

  const begin = async (): Promise<T> => {
    const begun = clock.monotonic();
    try {
      const value = await compute();
      last = { value };
      return value;
    } finally {
      const ended = clock.monotonic();
      tookMs = ended - begun;
      freshUntil = ended + Math.max(SHORTEST_MS, tookMs / DUTY);
      computing = null;
    }
  };
  return async () => {
    if (last && clock.monotonic() < freshUntil) return last.value;
    computing ??= begin();
    if (last === null) return computing;
    const { value } = last;
    const next = computing.catch(() => value);
    return tookMs > QUICK_MS ? value : next;
  };
}
