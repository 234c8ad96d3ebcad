import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { findFresh } from './find-fresh.ts';
import { memoryRegistry } from './memory-registry.ts';
import type { ModelRecord, RegistryReader, RegistrySnapshot } from './snapshot.ts';

const model: ModelRecord = {
  ...{ name: 'm', liveVersion: null, previousVersion: null, targetVersion: null, generation: 0 },
  versions: new Map(),
};

const findModel = (snapshot: RegistrySnapshot): ModelRecord => {
  const found = snapshot.models.get('m');
  if (!found) throw new HotloopError('NOT_FOUND', 'm is not there');
  return found;
};

function open(refresh?: RegistryReader['refresh']) {
  const registry = memoryRegistry();
  let refreshes = 0;
  let nowMs = 0;
  const counting: RegistryReader = {
    ...registry,
    async refresh(signal) {
      refreshes++;
      await (refresh ?? registry.refresh)(signal);
    },
  };
  return {
    registry,
    find: findFresh(counting, () => nowMs),
    refreshes: () => refreshes,
    pass(ms: number) {
      nowMs += ms;
    },
  };
}

describe('findFresh', () => {
  it('answers from the current snapshot without waiting', () => {
    const { registry, find, refreshes } = open();
    registry.set(model);
    registry.publish();
    expect(find(findModel)).toBe(model);
    expect(refreshes()).toBe(0);
  });

  it('reads the registry again before it throws NOT_FOUND', async () => {
    const { registry, find } = open();
    registry.set(model);
    expect(await find(findModel)).toBe(model);
  });

  it('reads once for all concurrent callers, with a limited rate', async () => {
    const { find, refreshes, pass } = open();
    const all = await Promise.allSettled(Array.from({ length: 100 }, async () => find(findModel)));
    expect(all.every(({ status }) => status === 'rejected')).toBe(true);
    expect(refreshes()).toBe(1);
    expect(() => find(findModel)).toThrow('m is not there');
    expect(refreshes()).toBe(1);
    pass(250);
    await expect(find(findModel)).rejects.toThrow('m is not there');
    expect(refreshes()).toBe(2);
  });

  it('uses the current snapshot when the registry cannot be read', async () => {
    const { find } = open(async () => {
      throw new HotloopError('UNAVAILABLE', 'away');
    });
    await expect(find(findModel)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('throws errors other than NOT_FOUND unchanged', () => {
    const { find, refreshes } = open();
    const refuse = () => {
      throw new HotloopError('INVALID_ARGUMENT', 'malformed');
    };
    expect(() => find(refuse)).toThrow('malformed');
    expect(refreshes()).toBe(0);
  });
});
