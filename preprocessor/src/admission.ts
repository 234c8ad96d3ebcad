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

/** Fewer than these in flight are no overload, however slow they are. */
const BUSY = 64;
/** How long it must have been busy before the rate of answers says what can be done. */
const WINDOW_MS = 500;

/** Bounds what is in flight. What does not fit is refused at once: a caller that is told can turn elsewhere. */
export class Admission {
  readonly #limits: AdmissionLimits;
  #inFlight = 0;
  #cells = 0;
  /** While at least BUSY are in flight: since when they are counted, and how many were answered. */
  #window: { sinceMs: number; answered: number } | undefined;
  /** Answers a millisecond in the last busy window. */
  #rate: number | undefined;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get cells(): number {
    return this.#cells;
  }

  /**
   * Throws RESOURCE_EXHAUSTED when there are too many already, or so many that, at the rate of the last busy moments, this
   * one would be answered after its time (Little's law: in flight / rate). What is refused early costs nothing.
   */
  admit(timeoutMs = Number.POSITIVE_INFINITY, nowMs = 0): Admitted {
    if (this.#inFlight >= this.#limits.maxInFlight) throw full();
    this.#measure(nowMs);
    if (this.#rate !== undefined && this.#inFlight / this.#rate > timeoutMs) throw full();
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
        if (this.#window) this.#window.answered++;
      },
    };
  }

  /** A rate that was measured while there was little to do says nothing, so only busy windows count. */
  #measure(nowMs: number): void {
    if (this.#inFlight < BUSY) {
      this.#window = undefined;
      this.#rate = undefined;
    } else if (!this.#window) this.#window = { sinceMs: nowMs, answered: 0 };
    else if (nowMs - this.#window.sinceMs >= WINDOW_MS) {
      const { sinceMs, answered } = this.#window;
      this.#rate = answered > 0 ? answered / (nowMs - sinceMs) : undefined;
      this.#window = { sinceMs: nowMs, answered: 0 };
    }
  }
}

function full(): HotloopError {
  return new HotloopError('RESOURCE_EXHAUSTED', 'too many predictions at once; try again in a moment', {
    reason: 'too_many_in_flight',
  });
}
