import { HotloopError } from '@hotloop/proto/errors.ts';
import type { RegistryReader, RegistrySnapshot } from './snapshot.ts';

const REFRESH_EVERY_MS = 250;
const REFRESH_TIMEOUT_MS = 1000;

/** Looks something up in the registry's snapshot and, if it is not found, once more in a newer one. */
export type FindFresh = <T>(find: (snapshot: RegistrySnapshot) => T) => T | Promise<T>;

/**
 * A service may be asked for a version that is newer than its own snapshot. So the registry is read again before the
 * answer is NOT_FOUND: one read for all waiting callers, and at most one in 250 ms, so that requests for unknown
 * names stay cheap. Errors other than NOT_FOUND are thrown unchanged.
 */
export function findFresh(registry: RegistryReader, monotonic: () => number): FindFresh {
  let refreshing: Promise<void> | undefined;
  let nextAt = Number.NEGATIVE_INFINITY;
  const refresh = (): Promise<void> | undefined => {
    if (refreshing || monotonic() < nextAt) return refreshing;
    nextAt = monotonic() + REFRESH_EVERY_MS;
    refreshing = registry.refresh(AbortSignal.timeout(REFRESH_TIMEOUT_MS)).then(
      () => undefined,
      // The store cannot be reached: the current snapshot decides.
      () => undefined,
    );
    void refreshing.finally(() => {
      refreshing = undefined;
    });
    return refreshing;
  };
  return (find) => {
    try {
      return find(registry.current());
    } catch (error) {
      if (!(error instanceof HotloopError) || error.code !== 'NOT_FOUND') throw error;
      const waiting = refresh();
      if (!waiting) throw error;
      return waiting.then(() => find(registry.current()));
    }
  };
}
