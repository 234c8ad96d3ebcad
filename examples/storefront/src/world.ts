import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';

/** What the shop sells; also the categories that model.yaml names. */
export const CATEGORIES = ['coats', 'boots', 'lamps', 'sandals', 'swimwear'] as const;
export type Category = (typeof CATEGORIES)[number];

export const DEVICES = ['phone', 'desktop'] as const;
export type Device = (typeof DEVICES)[number];

export const SEASONS = ['winter', 'summer'] as const;
export type Season = (typeof SEASONS)[number];

export interface Product {
  readonly id: string;
  readonly category: Category;
  /** In the shop's currency, 5 to 400. */
  readonly price: number;
  /** Stars, 1 to 5. */
  readonly rating: number;
}

export interface Visitor {
  readonly id: string;
  readonly device: Device;
  /** What the visitor keeps coming back to; shows in what is viewed. */
  readonly favourite: Category;
  /** What the visitor is used to pay; shows in the prices viewed. */
  readonly budget: number;
}

/** The tastes of a season. Utilities are in log-odds of buying a product that is shown. */
export interface Taste {
  readonly byCategory: Readonly<Record<Category, number>>;
  /** Added for a product of the visitor's favourite category. */
  readonly favourite: number;
  /** Times ln(price / budget). */
  readonly price: Readonly<Record<Device, number>>;
  /** Times (rating - 3.5). */
  readonly rating: number;
}

/**
 * How tastes shift: in summer the shop's visitors want other things, those on a desktop splurge where they used to
 * save, stars count for more, and the favourite of old for less.
 */
export const TASTES: Readonly<Record<Season, Taste>> = {
  winter: {
    byCategory: { coats: 0.9, boots: 0.6, lamps: 0, sandals: -0.4, swimwear: -0.7 },
    favourite: 1.6,
    price: { phone: -0.9, desktop: -0.5 },
    rating: 0.6,
  },
  summer: {
    byCategory: { coats: -0.7, boots: -0.5, lamps: 0.1, sandals: 0.7, swimwear: 0.9 },
    favourite: 1.3,
    price: { phone: -1.2, desktop: 0.3 },
    rating: 0.9,
  },
};

/** Log-odds of a purchase when nothing speaks for or against the product. */
const BASE = -1.7;
const PRODUCTS = 60;

/** A shop at one moment of its story: everything in it follows from the seed. */
export interface World {
  readonly seed: number;
  readonly products: readonly Product[];
  readonly visitors: readonly Visitor[];
}

/** Draws a shop. The same seed gives the same shop on every machine. */
export function createWorld(seed: number, visitors: number): World {
  const random = new SeededRandom(seed);
  const pick = <T>(values: readonly T[]): T => values[random.integer(values.length)]!;
  return {
    seed,
    products: Array.from({ length: PRODUCTS }, (_, index) => ({
      id: `p${String(index + 1).padStart(3, '0')}`,
      category: CATEGORIES[index % CATEGORIES.length]!,
      price: clamp(Math.exp(3.4 + 0.7 * random.normal()), 5, 400),
      rating: clamp(3.6 + 0.7 * random.normal(), 1, 5),
    })),
    visitors: Array.from({ length: visitors }, (_, index) => ({
      id: `v${String(index + 1).padStart(5, '0')}`,
      device: pick(DEVICES),
      favourite: pick(CATEGORIES),
      budget: clamp(Math.exp(3.4 + 0.6 * random.normal()), 5, 400),
    })),
  };
}

/** The probability that a visitor buys a product that is shown. */
export function buyingProbability(visitor: Visitor, product: Product, season: Season): number {
  const taste = TASTES[season];
  const utility =
    BASE +
    taste.byCategory[product.category] +
    (product.category === visitor.favourite ? taste.favourite : 0) +
    taste.price[visitor.device] * Math.log(product.price / visitor.budget) +
    taste.rating * (product.rating - 3.5);
  return 1 / (1 + Math.exp(-utility));
}

function clamp(value: number, low: number, high: number): number {
  return Math.round(Math.min(high, Math.max(low, value)) * 100) / 100;
}
