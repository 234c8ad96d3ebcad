import { HotloopError } from '@hotloop/proto/errors.ts';
import { ModelGate } from './model-gate.ts';

export interface AdmissionLimits {
  /** Maximum number of concurrent predictions. */
  readonly maxInFlight: number;
  /** Maximum number of cells in the rows of all concurrent predictions. */
  readonly maxCellsInFlight: number;
}

/** 64 Mi cells are 256 MiB of rows. */
export const ADMISSION_DEFAULTS: AdmissionLimits = {
  maxInFlight: 8192,
  maxCellsInFlight: 64 * 1024 * 1024,
};

/** One admitted prediction's share of the limits, until it is released. */
export interface Admitted extends Disposable {
  /** Reserves room for its rows. Throws RESOURCE_EXHAUSTED when there is none. */
  hold(cells: number): void;
  /** Call when it has been answered, before the release: shows the state of the model. */
  answered(nowMs: number): void;
  /** Call when it has expired, or was rejected because of overload. */
  late(nowMs: number): void;
}

/** Callers choose the names, so only this many unknown models are remembered. */
const MOST_GATES = 1024;
const FULL_RETRY_MS = 100;

/**
 * Limits concurrent predictions, in total and per model (see ModelGate), so that a flood on one model causes no
 * rejections for another. Excess load is rejected at once: a rejection costs far less than work whose caller no
 * longer waits, and a caller that knows can go elsewhere.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #gates = new Map<string, ModelGate>();
  #inFlight = 0;
  #cells = 0;
  /**
   * The last error, reused while rejections have the same message: they come by the thousand, and most of an error's
   * cost is its stack trace.
   */
  #refusal: HotloopError | undefined;

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
   * RESOURCE_EXHAUSTED if a prediction with this timeout would be rejected now; can be checked before a request is
   * even read.
   */
  refusal(model: string, timeoutMs: number, nowMs: number): HotloopError | undefined {
    if (this.#inFlight >= this.#limits.maxInFlight) return this.#refuse('too_many_in_flight', FULL_RETRY_MS);
    const retryAfterMs = this.#gates.get(model)?.retryAfter(timeoutMs, nowMs);
    return retryAfterMs === undefined ? undefined : this.#refuse('overloaded', retryAfterMs);
  }

  /**
   * Throws RESOURCE_EXHAUSTED: `too_many_in_flight` when the limit is reached, `overloaded` when the queue for this
   * model is so long that the answer would be too late.
   */
  admit(model: string, timeoutMs: number, nowMs: number): Admitted {
    const refusal = this.refusal(model, timeoutMs, nowMs);
    if (refusal) throw refusal;
    const gate = this.#gateOf(model, nowMs);
    gate.enter();
    this.#inFlight++;
    let held = 0;
    let released = false;
    return {
      hold: (cells) => {
        // After the release, nothing would give back a reservation.
        if (released) return;
        if (this.#cells + cells > this.#limits.maxCellsInFlight)
          throw this.#refuse('too_many_in_flight', FULL_RETRY_MS);
        this.#cells += cells;
        held += cells;
      },
      answered: (endedMs) => gate.answered(nowMs, timeoutMs, endedMs),
      late: (endedMs) => gate.late(endedMs),
      [Symbol.dispose]: () => {
        if (released) return;
        released = true;
        gate.leave();
        this.#inFlight--;
        this.#cells -= held;
      },
    };
  }

  #gateOf(model: string, nowMs: number): ModelGate {
    let gate = this.#gates.get(model);
    if (!gate) {
      if (this.#gates.size >= MOST_GATES)
        for (const [name, other] of this.#gates) if (other.isIdle(nowMs)) this.#gates.delete(name);
      gate = new ModelGate(nowMs);
      this.#gates.set(model, gate);
    }
    return gate;
  }

  #refuse(reason: 'too_many_in_flight' | 'overloaded', retryAfterMs: number): HotloopError {
    if (this.#refusal?.reason !== reason || this.#refusal.retryAfterMs !== retryAfterMs)
      this.#refusal = new HotloopError('RESOURCE_EXHAUSTED', MESSAGES[reason], { reason, retryAfterMs });
    return this.#refusal;
  }
}

const MESSAGES = {
  too_many_in_flight: 'too many concurrent predictions; try again in a moment',
  overloaded: 'the queue for this model is too long to answer in time; try again in a moment',
} as const;
