import { HotloopError } from '@hotloop/proto/errors.ts';

export interface AdmissionLimits {
  /** Predictions at once. */
  readonly maxInFlight: number;
  /** Numbers in the rows of all predictions at once. */
  readonly maxCellsInFlight: number;
}

/** 64 Mi numbers are 256 MiB of rows. */
export const ADMISSION_DEFAULTS: AdmissionLimits = {
  maxInFlight: 8192,
  maxCellsInFlight: 64 * 1024 * 1024,
};

/** One admitted prediction's share of the limits, until it is released. */
export interface Admitted extends Disposable {
  /** Asks for room for its rows. Throws RESOURCE_EXHAUSTED when there is none. */
  hold(cells: number): void;
}

/** Bounds what is in flight. What does not fit is refused at once: a caller that is told can turn elsewhere. */
export class Admission {
  readonly #limits: AdmissionLimits;
  #inFlight = 0;
  #cells = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get cells(): number {
    return this.#cells;
  }

  /** Throws RESOURCE_EXHAUSTED when there are too many already. */
  admit(): Admitted {
    if (this.#inFlight >= this.#limits.maxInFlight) throw full();
    this.#inFlight++;
    let held = 0;
    let released = false;
    return {
      hold: (cells) => {
        // Nobody would give back what is taken after the release.
        if (released) return;
        if (this.#cells + cells > this.#limits.maxCellsInFlight) throw full();
        this.#cells += cells;
        held += cells;
      },
      [Symbol.dispose]: () => {
        if (released) return;
        released = true;
        this.#inFlight--;
        this.#cells -= held;
      },
    };
  }
}

function full(): HotloopError {
  return new HotloopError('RESOURCE_EXHAUSTED', 'too many predictions at once; try again in a moment', {
    reason: 'too_many_in_flight',
  });
}
