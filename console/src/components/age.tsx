import { useSyncExternalStore } from 'react';
import { formatAge } from '../number-format.ts';

const watchers = new Set<() => void>();
let now = Date.now();
setInterval(() => {
  now = Date.now();
  for (const watcher of watchers) watcher();
}, 1000);

export function useNow(): number {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => now,
  );
}

/** How long ago, kept current; the moment itself as a tooltip. */
export function Age({ at, suffix = ' ago' }: { at: number; suffix?: string }) {
  const age = formatAge(Math.max(0, useNow() - at));
  const moment = new Date(at);
  return (
    <time dateTime={moment.toISOString()} title={moment.toLocaleString()} className="number">
      {age === 'now' ? 'just now' : `${age}${suffix}`}
    </time>
  );
}

/** How long until a moment; `now` when it has come. */
export function Until({ at }: { at: number }) {
  const left = at - useNow();
  const moment = new Date(at);
  return (
    <time dateTime={moment.toISOString()} title={moment.toLocaleString()} className="number">
      {left < 1000 ? 'now' : `in ${formatAge(left)}`}
    </time>
  );
}
