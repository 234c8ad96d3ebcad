import { useSyncExternalStore } from 'react';

export type Theme = 'light' | 'dark';

const KEY = 'hotloop-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');
const watchers = new Set<() => void>();
let theme: Theme = current();

function current(): Theme {
  const chosen = localStorage.getItem(KEY);
  return chosen === 'light' || chosen === 'dark' ? chosen : dark.matches ? 'dark' : 'light';
}

function apply(): void {
  theme = current();
  document.documentElement.dataset.theme = theme;
  for (const watcher of watchers) watcher();
}

/** The system's theme until a person chooses. */
export function startTheme(): void {
  dark.addEventListener('change', apply);
  apply();
}

export function chooseTheme(chosen: Theme): void {
  localStorage.setItem(KEY, chosen);
  apply();
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
    () => theme,
  );
}
