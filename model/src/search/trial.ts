import type { Searched } from '../manifest/search-schema.ts';

export type PointValue = number | string | readonly number[];
/** One choice of every searched parameter. */
export type Point = Readonly<Partial<Record<Searched, PointValue>>>;

/** A trial as it stands. */
export interface Trial {
  /** `round:index`, counted from 0. */
  readonly key: string;
  readonly point: Point;
  /** Loss on the rows that judge trials, smaller is better; null while it works; NaN when it failed. */
  readonly loss: number | null;
}
