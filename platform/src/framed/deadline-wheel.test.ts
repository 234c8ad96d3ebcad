import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineWheel, OFF_WHEEL, type WheelEntry } from './deadline-wheel.ts';

interface TestEntry extends WheelEntry {
  firedAt: number | undefined;
  fired: number;
}

function entryAt(deadlineAt: number, now: () => number): TestEntry {
  const entry: TestEntry = {
    deadlineAt,
    wheelNext: undefined,
    wheelPrevious: undefined,
    wheelSlot: OFF_WHEEL,
    firedAt: undefined,
    fired: 0,
    onDeadline() {
      entry.firedAt = now();
      entry.fired++;
    },
  };
  return entry;
}

describe('a deadline wheel', () => {
  it('fires each entry once, never early, at most one tick late, and never after its removal', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('add' as const), after: fc.double({ min: 0, max: 500, noNaN: true }) }),
      fc.record({ kind: fc.constant('remove' as const), index: fc.nat(100) }),
      fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 60 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let now = 1000;
        const clock = () => now;
        // Fewer slots than the longest deadline needs, so that entries stay for several revolutions.
        using wheel = new DeadlineWheel({ tickMs: 5, slots: 16, now: clock });
        const entries: { entry: TestEntry; removed: boolean }[] = [];
        const pass = (ms: number) => {
          for (let i = 0; i < ms; i++) {
            now += 1;
            wheel.advance();
          }
        };
        for (const each of steps) {
          if (each.kind === 'add') {
            const entry = entryAt(now + each.after, clock);
            wheel.add(entry);
            entries.push({ entry, removed: false });
          } else if (each.kind === 'remove') {
            const found = entries[each.index % Math.max(1, entries.length)];
            if (found && found.entry.fired === 0) {
              wheel.remove(found.entry);
              found.removed = true;
            }
          } else pass(each.ms);
        }
        pass(600);
        for (const { entry, removed } of entries) {
          expect(entry.fired).toBe(removed ? 0 : 1);
          if (entry.firedAt === undefined) continue;
          expect(entry.firedAt).toBeGreaterThanOrEqual(entry.deadlineAt);
          expect(entry.firedAt).toBeLessThanOrEqual(entry.deadlineAt + 11);
        }
        expect(wheel.size).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('fires everything that is due after a long pause', () => {
    let now = 0;
    const clock = () => now;
    using wheel = new DeadlineWheel({ tickMs: 5, slots: 8, now: clock });
    const entries = Array.from({ length: 50 }, (_, i) => entryAt(i * 7, clock));
    for (const entry of entries) wheel.add(entry);
    now = 100_000;
    wheel.advance();
    expect(entries.map((entry) => entry.fired)).toEqual(entries.map(() => 1));
  });

  it('lets one entry remove another with the same deadline', () => {
    let now = 0;
    const clock = () => now;
    using wheel = new DeadlineWheel({ now: clock });
    const first = entryAt(10, clock);
    const second = entryAt(10, clock);
    const takeOff = (own: TestEntry, other: TestEntry) => () => {
      own.fired++;
      wheel.remove(other);
    };
    first.onDeadline = takeOff(first, second);
    second.onDeadline = takeOff(second, first);
    wheel.add(first);
    wheel.add(second);
    now = 100;
    wheel.advance();
    expect(first.fired + second.fired).toBe(1);
  });

  it('runs on a real timer', async () => {
    using wheel = new DeadlineWheel();
    const entry = entryAt(performance.now() + 20, () => performance.now());
    wheel.add(entry);
    await expect.poll(() => entry.fired, { interval: 5 }).toBe(1);
  });
});
