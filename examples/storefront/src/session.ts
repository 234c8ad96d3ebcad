import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { HOUR_MS } from '@hotloop/proto/time-units.ts';
import { buyingProbability, type Product, type Season, type Visitor, type World } from './world.ts';

/** Products on the shelf that a visitor is shown. */
export const SHELF = 6;
/** Views that a visitor brings along from before. */
export const PAST_VIEWS = 3;

/** A product that a visitor looked at, `agoMs` before the session. */
export interface PastView {
  readonly product: Product;
  readonly agoMs: number;
}

/** One visit: who came, what could be shown, and what would be bought of it. */
export interface Session {
  readonly index: number;
  readonly season: Season;
  readonly visitor: Visitor;
  /** Hour of the day, 0 to 23. */
  readonly hour: number;
  readonly shelf: readonly Product[];
  /** Of the shelf, in its order: whether the visitor buys the product when it is shown. */
  readonly buys: readonly boolean[];
  /** A product the visitor looks at during the visit. */
  readonly viewed: Product;
}

/** Kinds of sessions that never share one: what version 1 learns from, what is served, and what both are judged on. */
export const PURPOSES = { past: 1, served: 2, judged: 3 } as const;
export type Purpose = keyof typeof PURPOSES;

/**
 * The session of a given number: a pure function, so that any of them can be drawn in any order. Visitors take turns,
 * so that a visitor comes back only after everybody else has been there.
 */
export function sessionAt(world: World, purpose: Purpose, index: number, season: Season): Session {
  const random = drawOf(world.seed, PURPOSES[purpose], index);
  const visitor = world.visitors[(index * strideOf(world.visitors.length)) % world.visitors.length]!;
  const shelf = shelfOf(world, random);
  return {
    index,
    season,
    visitor,
    hour: random.integer(24),
    shelf,
    buys: shelf.map((product) => random.uniform() < buyingProbability(visitor, product, season)),
    viewed: viewedBy(world, visitor, random),
  };
}

/** What a visitor looked at in the days before the story begins, newest first. */
export function pastViews(world: World, visitor: Visitor): readonly PastView[] {
  const random = drawOf(world.seed, 0, Number(visitor.id.slice(1)));
  return Array.from({ length: PAST_VIEWS }, (_, position) => ({
    product: viewedBy(world, visitor, random),
    agoMs: Math.round((position + 0.2 + 0.6 * random.uniform()) * 6 * HOUR_MS),
  }));
}

function drawOf(seed: number, purpose: number, index: number): SeededRandom {
  // Far apart for neighbours: the generator mixes its first words, and these differ in both halves.
  return new SeededRandom(seed * 2 ** 36 + purpose * 2 ** 32 + index);
}

/** Visitors mostly look at their favourite category, at prices around their budget. */
function viewedBy(world: World, visitor: Visitor, random: SeededRandom): Product {
  const choice = random.uniform() < 0.75 ? visitor.favourite : null;
  const fitting = world.products.filter((product) => choice === null || product.category === choice);
  const one = fitting[random.integer(fitting.length)]!;
  const other = fitting[random.integer(fitting.length)]!;
  const distance = (product: Product) => Math.abs(Math.log(product.price / visitor.budget));
  return distance(one) <= distance(other) ? one : other;
}

function shelfOf(world: World, random: SeededRandom): Product[] {
  const chosen = new Set<Product>();
  while (chosen.size < SHELF) chosen.add(world.products[random.integer(world.products.length)]!);
  return [...chosen];
}

/** A step that visits every number below `count` once before it comes back: prime, and no divisor of it. */
function strideOf(count: number): number {
  return count % 7919 === 0 ? 1 : 7919;
}
