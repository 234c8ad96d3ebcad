/** Decay of an observation's weight per later observation: effectively the last hundred count. */
const DECAY = 0.99;
/**
 * The fixed part of a run may be at most this share of a full batch's time. Beyond that, larger batches gain almost
 * nothing.
 */
const FIXED_SHARE = 0.05;
/**
 * Target duration of a full batch, microseconds: long enough for the busy service thread to send the next batch
 * meanwhile. Larger matrix products also cost less per row.
 */
const ENOUGH_US = 5_000;

/**
 * Learns what a batch costs: time = perRow * rows + fixed, in microseconds, by least squares with decaying weights.
 * Until batches of two different sizes have been seen, all of the time counts as fixed.
 */
export class BatchCost {
  #weight = 0;
  #rows = 0;
  #rowsSquared = 0;
  #time = 0;
  #product = 0;

  observe(rows: number, microseconds: number): void {
    this.#weight = this.#weight * DECAY + 1;
    this.#rows = this.#rows * DECAY + rows;
    this.#rowsSquared = this.#rowsSquared * DECAY + rows * rows;
    this.#time = this.#time * DECAY + microseconds;
    this.#product = this.#product * DECAY + rows * microseconds;
  }

  get perRow(): number {
    const spread = this.#weight * this.#rowsSquared - this.#rows * this.#rows;
    if (spread <= 1e-9 * this.#rowsSquared) return 0;
    return Math.max(0, (this.#weight * this.#product - this.#rows * this.#time) / spread);
  }

  get fixed(): number {
    if (this.#weight === 0) return 0;
    return Math.max(0, (this.#time - this.perRow * this.#rows) / this.#weight);
  }

  estimate(rows: number): number {
    return this.perRow * rows + this.fixed;
  }

  /**
   * Largest useful batch in rows: the fixed cost is negligible and the runner is busy for a while, but at most
   * `maxRows`, and no more than runs in `targetUs`, so that one batch never delays the next for long. At least 1.
   */
  cap(maxRows: number, targetUs: number): number {
    const { perRow, fixed } = this;
    if (perRow === 0) return maxRows;
    const worthwhile = Math.ceil(fixed / (FIXED_SHARE * perRow));
    const enough = Math.floor(ENOUGH_US / perRow);
    const timely = Math.floor((targetUs - fixed) / perRow);
    return Math.max(1, Math.min(maxRows, Math.max(worthwhile, enough), timely));
  }
}
