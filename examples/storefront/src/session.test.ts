import { describe, expect, it } from 'vitest';
import { pastViews, SHELF, sessionAt } from './session.ts';
import { buyingProbability, type CATEGORIES, createWorld } from './world.ts';

const world = createWorld(11, 500);

describe('the storefront', () => {
  it('is the same shop with the same visits for the same seed, drawn in any order', () => {
    const again = createWorld(11, 500);
    expect(again).toEqual(world);
    const backwards = [9, 3, 0].map((index) => sessionAt(again, 'served', index, 'summer'));
    const forwards = [0, 3, 9].map((index) => sessionAt(world, 'served', index, 'summer'));
    expect(backwards.toReversed()).toEqual(forwards);
    expect(createWorld(12, 500)).not.toEqual(world);
    expect(pastViews(world, world.visitors[0]!)).toEqual(pastViews(again, again.visitors[0]!));
  });

  it('never evaluates on sessions that were served or trained on', () => {
    const shelves = (purpose: 'past' | 'served' | 'judged') =>
      Array.from({ length: 50 }, (_, index) =>
        sessionAt(world, purpose, index, 'summer')
          .shelf.map(({ id }) => id)
          .join(),
      );
    const seen = new Set([...shelves('past'), ...shelves('served')]);
    expect(shelves('judged').filter((shelf) => seen.has(shelf))).toEqual([]);
  });

  it('shows each visitor different products, and every visitor once before one returns', () => {
    const sessions = world.visitors.map((_, index) => sessionAt(world, 'served', index, 'winter'));
    for (const { shelf } of sessions) expect(new Set(shelf).size).toBe(SHELF);
    expect(new Set(sessions.map(({ visitor }) => visitor.id)).size).toBe(world.visitors.length);
  });

  it('sells as often as its probabilities say', () => {
    const sessions = Array.from({ length: 4000 }, (_, index) => sessionAt(world, 'served', index, 'summer'));
    const rows = sessions.flatMap(({ visitor, shelf, buys, season }) =>
      shelf.map((product, at) => ({
        expected: buyingProbability(visitor, product, season),
        bought: buys[at]!,
      })),
    );
    const expected = rows.reduce((sum, row) => sum + row.expected, 0);
    const variance = rows.reduce((sum, row) => sum + row.expected * (1 - row.expected), 0);
    const bought = rows.filter((row) => row.bought).length;
    expect(Math.abs(bought - expected)).toBeLessThan(5 * Math.sqrt(variance));
    expect(expected / rows.length).toBeGreaterThan(0.1);
    expect(expected / rows.length).toBeLessThan(0.5);
  });

  it('changes what is wanted when tastes shift', () => {
    const share = (season: 'winter' | 'summer', category: (typeof CATEGORIES)[number]) => {
      const products = world.products.filter((product) => product.category === category);
      const all = world.visitors.flatMap((visitor) =>
        products.map((product) => buyingProbability(visitor, product, season)),
      );
      return all.reduce((sum, value) => sum + value, 0) / all.length;
    };
    expect(share('winter', 'coats')).toBeGreaterThan(2 * share('summer', 'coats'));
    expect(share('summer', 'swimwear')).toBeGreaterThan(2 * share('winter', 'swimwear'));
  });
});
