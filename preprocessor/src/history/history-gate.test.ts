import { type EventList, eventList } from '@hotloop/model/features/event-list.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import { silentLog } from '@hotloop/platform/log.ts';
import { describe, expect, it } from 'vitest';
import type { History, HistoryRead } from './history.ts';
import { HistoryGate } from './history-gate.ts';

const READ: HistoryRead = {
  ...{ entity: 'user', entityId: 'u1', event: 'view', sinceMs: 0, limit: 1, fields: true },
};
const EVENTS = eventList([{ id: 'e', atMs: 1, fields: record({}) }]);

/** A store whose answers the test controls. */
function manualStore() {
  const waiting: PromiseWithResolvers<EventList[]>[] = [];
  const history: History = {
    append: async () => undefined,
    read() {
      const answer = Promise.withResolvers<EventList[]>();
      waiting.push(answer);
      return answer.promise;
    },
  };
  return { history, waiting };
}

function open(policy = { budgetMs: 10, failures: 2, restMs: 1000 }) {
  const store = manualStore();
  let nowMs = 0;
  const clock = { now: () => nowMs, monotonic: () => nowMs };
  const gate = new HistoryGate(store.history, clock, silentLog(), policy);
  return {
    ...{ gate, waiting: store.waiting },
    pass(ms: number) {
      nowMs += ms;
    },
    answer(index: number) {
      store.waiting[index]?.resolve([EVENTS]);
    },
    fail(index: number) {
      store.waiting[index]?.reject(new Error('away'));
    },
  };
}

describe('the gate in front of the history', () => {
  it('sends no request when there is nothing to read', async () => {
    const { gate, waiting } = open();
    expect(await gate.read([])).toEqual([]);
    expect(waiting).toHaveLength(0);
  });

  it('returns the answer of the store within the budget', async () => {
    const { gate, answer } = open({ budgetMs: 1000, failures: 2, restMs: 1000 });
    const reading = gate.read([READ]);
    answer(0);
    expect(await reading).toEqual([EVENTS]);
  });

  it('returns null when the store is late; an answer after that has no effect', async () => {
    const { gate, answer, waiting } = open();
    expect(await gate.read([READ])).toBeNull();
    answer(0);
    expect(gate.open).toBe(false);
    expect(waiting).toHaveLength(1);
  });

  it('stops using a store after consecutive failures, and probes it alongside one prediction after the rest time', async () => {
    const { gate, waiting, fail, answer, pass } = open();
    for (const index of [0, 1]) {
      const reading = gate.read([READ]);
      fail(index);
      expect(await reading).toBeNull();
    }
    expect(gate.open).toBe(true);
    expect(await gate.read([READ])).toBeNull();
    expect(waiting).toHaveLength(2);
    pass(1000);
    expect(await gate.read([READ], 1000)).toBeNull();
    expect(await gate.read([READ])).toBeNull();
    expect(waiting).toHaveLength(3);
    answer(2);
    await expect.poll(() => gate.open).toBe(false);
  });

  it('does not count the short timeout of a caller as a failure of the store', async () => {
    const { gate } = open({ budgetMs: 1000, failures: 1, restMs: 1000 });
    expect(await gate.read([READ], 1)).toBeNull();
    expect(gate.open).toBe(false);
  });

  it('rests again after a failed probe, whatever the timeout of the caller', async () => {
    const { gate, fail, pass, waiting } = open({ budgetMs: 1000, failures: 1, restMs: 100 });
    const first = gate.read([READ]);
    fail(0);
    await first;
    pass(100);
    expect(await gate.read([READ], 1)).toBeNull();
    expect(waiting).toHaveLength(2);
    fail(1);
    await expect.poll(async () => (await gate.read([READ])) === null && gate.open).toBe(true);
    pass(100);
    await expect
      .poll(async () => {
        await gate.read([READ]);
        return waiting.length;
      })
      .toBe(3);
  });
});
