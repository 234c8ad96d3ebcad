import type { QueryClient } from '@tanstack/react-query';
import { useSyncExternalStore } from 'react';

/** Which answers a change of a table makes old; the first part of a query's key names its topic. */
const TOPICS: Readonly<Record<string, readonly string[]>> = {
  model: ['overview', 'model', 'rollout', 'ledger'],
  model_version: ['overview', 'model', 'compare'],
  training_run: ['overview', 'model', 'runs', 'run'],
  ledger: ['model', 'ledger'],
};

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
  const source = new EventSource('/v1/events/stream');
  source.addEventListener('open', () => setConnected(true));
  source.addEventListener('error', () => setConnected(false));
  source.addEventListener('change', (event) => {
    const topics = TOPICS[event.data as string];
    void client.invalidateQueries({
      predicate: ({ queryKey }) => topics === undefined || topics.includes(String(queryKey[0])),
    });
  });
  return () => {
    source.close();
    setConnected(false);
  };
}
