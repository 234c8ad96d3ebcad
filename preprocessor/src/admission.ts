import { HotloopError } from '@hotloop/proto/errors.ts';
import { ModelGate } from './model-gate.ts';

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
  /** It has been answered; says before the release how the model does. */
  answered(nowMs: number): void;
  /** It has expired, or was refused because of others. */
  late(nowMs: number): void;
}

/** Names come from callers: only so many models that nothing is known of are remembered. */
const MOST_GATES = 1024;
const FULL_RETRY_MS = 100;

/**
 * Bounds what is in flight, over all and for each model (see ModelGate): a flood on one model refuses nothing of another. What
 * does not fit is refused at once: a refusal costs far less than work that nobody waits for, and a caller that is told can turn elsewhere.
 */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #gates = new Map<string, ModelGate>();
  #inFlight = 0;
  #cells = 0;
  /** Refusals come by the thousand, and most of one costs its stack: those that say the same are one error. */
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

  /** RESOURCE_EXHAUSTED when a prediction with so much time would not be admitted now; to ask before a request is even read. */
  refusal(model: string, timeoutMs: number, nowMs: number): HotloopError | undefined {
    if (this.#inFlight >= this.#limits.maxInFlight) return this.#refuse('too_many_in_flight', FULL_RETRY_MS);
    const retryAfterMs = this.#gates.get(model)?.retryAfter(timeoutMs, nowMs);
    return retryAfterMs === undefined ? undefined : this.#refuse('overloaded', retryAfterMs);
  }

  /**
   * Throws RESOURCE_EXHAUSTED: `too_many_in_flight` when there are too many already, `overloaded` when so many wait for this
   * model that this one would be answered too late.
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
        // Nobody would give back what is taken after the release.
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
  too_many_in_flight: 'too many predictions at once; try again in a moment',
  overloaded: 'so many wait for this model that this would be answered too late; try again in a moment',
} as const;
