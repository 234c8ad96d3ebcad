import type { Searched } from '../manifest/search-schema.ts';

export type PointValue = number | string | readonly number[];
/** One value for every searched parameter. */
export type Point = Readonly<Partial<Record<Searched, PointValue>>>;

/** The current state of a trial. */
export interface Trial {
  /** `round:index`, counted from 0. */
  readonly key: string;
  readonly point: Point;
  /** Loss on the validation rows, smaller is better; null while it runs; NaN when it failed. */
  readonly loss: number | null;
}
