import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALONE, type Waiting, WorkQueue } from './work-queue.ts';

interface Item extends Waiting {
  readonly id: number;
}

let nextId = 0;
function item(more: Partial<Item> = {}): Item {
  return {
    id: nextId++,
    rows: 1,
    priority: 0,
    deadlineAt: 1_000,
    shapeKey: '',
    isOver: () => false,
    ...more,
  };
}

const idsOf = (items: readonly Item[]): number[] => items.map((one) => one.id);

describe('work queue', () => {
  it('takes in order, higher lanes first, up to the requested rows but at least one item', () => {
    const queue = new WorkQueue<Item>(100);
    const [a, b, urgent, large] = [item(), item({ rows: 2 }), item({ priority: 5 }), item({ rows: 50 })];
    for (const one of [a, b, urgent, large]) queue.push(one);
    expect(idsOf(queue.take(3, 0).batch)).toEqual([urgent.id, a.id]);
    expect(idsOf(queue.take(3, 0).batch)).toEqual([b.id]);
    expect(idsOf(queue.take(3, 0).batch)).toEqual([large.id]);
    expect(queue.length).toBe(0);
    expect(queue.rows).toBe(0);
  });

  it('rejects rows past its bound with queue_full, but accepts an item larger than the bound when empty', () => {
    const queue = new WorkQueue<Item>(10);
    queue.push(item({ rows: 50 }));
    expect(() => queue.push(item())).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'queue_full' }),
    );
    queue.take(1, 0);
    queue.push(item());
  });

  it('never hands out expired or cancelled work', () => {
    const queue = new WorkQueue<Item>(100);
    const late = item({ deadlineAt: 10 });
    const cancelled = item({ isOver: () => true });
    const good = item();
    for (const one of [late, cancelled, good]) queue.push(one);
    const taken = queue.take(100, 10);
    expect(idsOf(taken.batch)).toEqual([good.id]);
    expect(idsOf(taken.over)).toEqual([late.id, cancelled.id]);
  });

  it('does not mix shapes in a batch', () => {
    const queue = new WorkQueue<Item>(100);
    const items = ['a', 'a', 'b', 'a'].map((shapeKey) => item({ shapeKey }));
    for (const one of items) queue.push(one);
    expect(idsOf(queue.take(10, 0).batch)).toEqual(idsOf(items.slice(0, 2)));
    expect(idsOf(queue.take(10, 0).batch)).toEqual(idsOf(items.slice(2, 3)));
  });

  it('removes empty lanes, however many priorities were used', () => {
    const queue = new WorkQueue<Item>(100);
    for (let priority = -500; priority < 500; priority++) {
      queue.push(item({ priority }));
      expect(queue.take(1, 0).batch).toHaveLength(1);
    }
    for (let priority = 0; priority < 10; priority++) queue.push(item({ priority }));
    expect(queue.lanes).toBe(10);
    queue.pushFront(queue.take(3, 0).batch);
    expect(queue.lanes).toBe(10);
    queue.sweep(1_000);
    expect(queue.lanes).toBe(0);
  });

  it('never batches ALONE work, not even with other ALONE work', () => {
    const queue = new WorkQueue<Item>(100);
    const items = [ALONE, ALONE, '', '', ALONE].map((shapeKey) => item({ shapeKey }));
    for (const one of items) queue.push(one);
    const batches = Array.from({ length: 4 }, () => queue.take(10, 0).batch.length);
    expect(batches).toEqual([1, 1, 2, 1]);
  });

  it('loses and duplicates nothing, whatever the operations', () => {
    const action = fc.oneof(
      fc.record({
        do: fc.constant('push' as const),
        rows: fc.integer({ min: 1, max: 5 }),
        priority: fc.nat(2),
        deadlineAt: fc.nat(100),
      }),
      fc.record({ do: fc.constant('take' as const), rows: fc.integer({ min: 1, max: 10 }) }),
      fc.record({ do: fc.constant('sweep' as const) }),
      fc.record({ do: fc.constant('back' as const) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
        const queue = new WorkQueue<Item>(60);
        const inside = new Map<number, Item>();
        let taken: readonly Item[] = [];
        for (const [now, one] of actions.entries()) {
          if (one.do === 'push') {
            const pushed = item(one);
            try {
              queue.push(pushed);
              inside.set(pushed.id, pushed);
            } catch {
              expect(queue.rows + pushed.rows).toBeGreaterThan(60);
            }
          } else if (one.do === 'take') {
            const { batch, over, rows } = queue.take(one.rows, now);
            for (const out of [...batch, ...over]) expect(inside.delete(out.id)).toBe(true);
            expect(batch.reduce((total, out) => total + out.rows, 0)).toBe(rows);
            if (batch.length > 1) expect(rows).toBeLessThanOrEqual(one.rows);
            taken = batch;
          } else if (one.do === 'sweep') {
            for (const out of queue.sweep(now)) {
              expect(out.deadlineAt).toBeLessThanOrEqual(now);
              expect(inside.delete(out.id)).toBe(true);
            }
          } else {
            queue.pushFront(taken);
            for (const out of taken) inside.set(out.id, out);
            taken = [];
          }
          expect(queue.lanes).toBe(new Set([...inside.values()].map((one) => one.priority)).size);
          expect(queue.length).toBe(inside.size);
          expect(queue.rows).toBe([...inside.values()].reduce((total, kept) => total + kept.rows, 0));
        }
        expect(idsOf(queue.clear()).sort()).toEqual([...inside.keys()].sort());
      }),
    );
  });
});
