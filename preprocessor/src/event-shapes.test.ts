import { expect, it } from 'vitest';
import { type SeenMessage, ShapeTally } from './event-shapes.ts';

const NOW = 1_780_000_000_000;
const seen = (offset: number, fields: Record<string, unknown>, lateMs = 0): SeenMessage => ({
  ...{ topic: 'shop', partition: 2, offset: BigInt(offset), event: 'view', fields, atMs: NOW - lateMs },
});

const summary = (tally: ShapeTally) =>
  tally
    .take()
    .map(({ field, kind, messages, firstOffset }) =>
      `${field} ${kind} ${messages} from ${firstOffset}`.trim(),
    );

it('counts the types of fields, with the first offset of each', () => {
  const tally = new ShapeTally([]);
  tally.add([seen(10, { price: 5, user: 'a' }), seen(11, { price: 6, user: 'b' })], NOW);
  tally.add([seen(12, { price: '6.00', user: 'b' }), seen(13, { user: 'b', tags: ['x'] })], NOW);
  expect(summary(tally)).toEqual([
    'message 4 from 10',
    'price number 2 from 10',
    'price 1e0 2 from 10',
    'user text 4 from 10',
    'price text 1 from 12',
    'tags list 1 from 13',
    'price absent 1 from 13',
  ]);
  expect(tally.take()).toEqual([]);
});

it('counts the magnitudes of numbers, and the messages before the first of each', () => {
  const tally = new ShapeTally([]);
  tally.add(
    [5, 0, 5_000, -0.02, Number.NaN].map((price, at) => seen(at, { price })),
    NOW,
  );
  expect(
    tally.take().flatMap(({ kind, earlier }) => (kind.startsWith('1e') ? [[kind, earlier]] : [])),
  ).toEqual([
    ['1e0', 0],
    ['1e3', 2],
    ['1e-2', 3],
  ]);
});

it('knows the fields from before a restart, and counts late events', () => {
  const tally = new ShapeTally([{ topic: 'shop', event: 'view', field: 'price' }]);
  tally.add([seen(1, {}), seen(2, { price: 1 }, 3_600_000)], NOW);
  expect(summary(tally)).toEqual([
    'message 2 from 1',
    'price absent 1 from 1',
    'late 1 from 2',
    'price number 1 from 2',
    'price 1e0 1 from 2',
  ]);
});

it('ignores nested values, and limits what it stores', () => {
  const tally = new ShapeTally([]);
  const many = Object.fromEntries(Array.from({ length: 500 }, (_v, at) => [`f${at}`, at]));
  tally.add([seen(1, { deep: { a: 1 }, none: null, '': 1, 'a\0b': 2, ...many })], NOW);
  const kept = tally.take();
  expect(new Set(kept.map(({ field }) => field).filter((field) => field !== '')).size).toBe(100);
  expect(kept.some(({ field }) => field === 'deep' || field.includes('\0'))).toBe(false);
  for (let event = 0; event < 500; event++) tally.add([{ ...seen(1, {}), event: `e${event}` }], NOW);
  expect(new Set(tally.take().map(({ event }) => event)).size).toBe(199);
});
