import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Holder, makeRoom } from './memory-budget.ts';

const holder = fc.record({
  bytes: fc.integer({ min: 1, max: 100 }),
  isIdle: fc.boolean(),
  lastUsedAt: fc.nat(1000),
  worth: fc.nat(3),
});
const holders = fc
  .array(holder, { maxLength: 12 })
  .map((list) => list.map((one, key): Holder<number> => ({ ...one, key })));
const claim = fc.record({
  bytes: fc.integer({ min: 1, max: 150 }),
  budgetBytes: fc.integer({ min: 50, max: 400 }),
  worth: fc.nat(3),
  isDemanded: fc.boolean(),
});

describe('memory budget', () => {
  it('stays within the budget, never evicts busy or higher-valued versions, and never more than needed', () => {
    fc.assert(
      fc.property(holders, claim, (all, wanted) => {
        const room = makeRoom(all, wanted);
        if (room.kind !== 'room') return;
        const evicted = all.filter((one) => room.evict.includes(one.key));
        const kept = all.filter((one) => !room.evict.includes(one.key));
        const used = kept.reduce((total, one) => total + one.bytes, 0);
        if (kept.length > 0) expect(used + wanted.bytes).toBeLessThanOrEqual(wanted.budgetBytes);
        for (const one of evicted) {
          expect(one.isIdle).toBe(true);
          expect(one.worth).toBeLessThanOrEqual(wanted.worth);
          if (!wanted.isDemanded) expect(one.worth).toBeLessThan(wanted.worth);
        }
        const last = evicted.find((one) => one.key === room.evict.at(-1));
        if (last) expect(used + last.bytes + wanted.bytes).toBeGreaterThan(wanted.budgetBytes);
      }),
    );
  });

  it('evicts the lowest value first, then the least recently used', () => {
    const all: Holder<string>[] = [
      { key: 'live, old', bytes: 40, isIdle: true, lastUsedAt: 1, worth: 2 },
      { key: 'previous, new', bytes: 40, isIdle: true, lastUsedAt: 9, worth: 1 },
      { key: 'live, new', bytes: 40, isIdle: true, lastUsedAt: 8, worth: 2 },
    ];
    const wanted = { bytes: 60, budgetBytes: 120, worth: 2, isDemanded: true };
    expect(makeRoom(all, wanted)).toEqual({ kind: 'room', evict: ['previous, new', 'live, old'] });
    expect(makeRoom(all, { ...wanted, isDemanded: false })).toEqual({ kind: 'none' });
    expect(makeRoom(all, { ...wanted, bytes: 40, isDemanded: false })).toEqual({
      kind: 'room',
      evict: ['previous, new'],
    });
  });

  it('waits for what is busy, and gives up where nothing may go', () => {
    const busy: Holder<string> = { key: 'a', bytes: 100, isIdle: false, lastUsedAt: 1, worth: 2 };
    const wanted = { bytes: 50, budgetBytes: 120, worth: 2, isDemanded: true };
    expect(makeRoom([busy], wanted)).toEqual({ kind: 'wait' });
    expect(makeRoom([{ ...busy, worth: 3 }], wanted)).toEqual({ kind: 'none' });
    expect(makeRoom([], { ...wanted, bytes: 500 })).toEqual({ kind: 'room', evict: [] });
  });
});
