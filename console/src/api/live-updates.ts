import type { QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

/** Which answers a change of a table makes old; the first part of a query's key names its topic. */
const TOPICS: Readonly<Record<string, readonly string[]>> = {
  model: ['overview', 'model', 'rollout', 'ledger'],
  model_version: ['overview', 'model', 'compare'],
  training_run: ['overview', 'model', 'runs', 'run'],
  ledger: ['model', 'ledger'],
};

const REOPEN_MS = 5_000;

let connected = false;
const watchers = new Set<() => void>();

function setConnected(value: boolean): void {
  connected = value;
  for (const watcher of watchers) watcher();
}

/** Whether changes arrive by themselves at this moment. */
export function useConnected(): boolean {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => connected,
  );
}

/** Follows the server's events, and asks again for what they make old. Returns the end. */
export function followChanges(client: QueryClient): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource('/v1/events/stream');
    source.addEventListener('open', () => setConnected(true));
    source.addEventListener('error', () => {
      setConnected(false);
      // A browser tries again by itself after a lost connection, but not after a refusal: the login may have ended.
      if (source?.readyState !== EventSource.CLOSED) return;
      void client.invalidateQueries({ queryKey: ['session'] });
      timer = setTimeout(open, REOPEN_MS);
    });
    source.addEventListener('change', (event) => {
      const topics = TOPICS[event.data as string];
      void client.invalidateQueries({
        predicate: ({ queryKey }) => topics === undefined || topics.includes(String(queryKey[0])),
      });
    });
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
    setConnected(false);
  };
}
