/** With fewer predictions in flight there is no queue, however slow they are. */
const LEAST_IN_FLIGHT = 16;
/** The expected duration may be this share of the timeout; the rest is a reserve. */
const SHARE = 0.5;
/** A prediction that took this share of its timeout is a sign of overload: those behind it will take longer. */
const SIGN_SHARE = 0.25;
/** How long the limit stays active after the last sign of overload. */
const HOLD_MS = 1000;
/** The rate of answers is that of the best bucket among the last complete ones and the current one. */
const BUCKET_MS = 100;
const BUCKETS = 5;
/** A current bucket that is younger than this counts as this old. */
const LEAST_FILLED_MS = 20;
/** The longest suggested wait. */
const LONGEST_WAIT_MS = 5000;
const STEP_MS = 50;

/**
 * Decides whether one model's predictions are admitted. Without signs of overload all are. Once some were late
 * (answered after more than a quarter of their timeout, expired, or rejected further inside), a new one is admitted
 * only if it is expected to be answered within half of its timeout. By Little's law its wait is (predictions in
 * flight / answers per millisecond in the best tenth of the last half second). So the limit follows the actual
 * throughput on any machine, and a caller with a longer timeout is admitted longer. A model that answers nothing at all
 * stands still, for example while its runner is restarted; this says nothing about its speed, so nothing is rejected
 * for it: what waits is answered when it is back. After a second without signs of overload all are
 * admitted again. Pure: the time, in milliseconds on the monotonic clock, is an argument.
 */
export class ModelGate {
  /** A ring buffer; the last bucket is the current one. */
  readonly #answers: number[] = new Array<number>(BUCKETS + 1).fill(0);
  #bucket: number;
  #limitedUntil = Number.NEGATIVE_INFINITY;
  #inFlight = 0;

  constructor(nowMs: number) {
    this.#bucket = Math.floor(nowMs / BUCKET_MS);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True when the gate has no state worth keeping. */
  isIdle(nowMs: number): boolean {
    return this.#inFlight === 0 && nowMs >= this.#limitedUntil;
  }

  /** For a prediction that must be rejected: milliseconds after which a retry makes sense. Undefined: admitted. */
  retryAfter(timeoutMs: number, nowMs: number): number | undefined {
    if (nowMs >= this.#limitedUntil || this.#inFlight < LEAST_IN_FLIGHT) return undefined;
    const rate = this.#rate(nowMs);
    if (rate === 0) return undefined;
    const waitMs = this.#inFlight / rate;
    const mayWaitMs = SHARE * timeoutMs;
    if (waitMs <= mayWaitMs) return undefined;
    this.#limitedUntil = nowMs + HOLD_MS;
    // Rounded to steps, so that consecutive rejections have the same message.
    return STEP_MS * Math.ceil(Math.min(waitMs - mayWaitMs, LONGEST_WAIT_MS) / STEP_MS);
  }

  enter(): void {
    this.#inFlight++;
  }

  leave(): void {
    this.#inFlight--;
  }

  /** Call before `leave`, for a prediction that was admitted at `sinceMs` with this timeout. */
  answered(sinceMs: number, timeoutMs: number, nowMs: number): void {
    this.#roll(nowMs);
    this.#answers[this.#bucket % this.#answers.length]!++;
    if (nowMs - sinceMs > SIGN_SHARE * timeoutMs) this.late(nowMs);
  }

  /** Call before `leave`, for a prediction that expired, or was rejected because of overload. */
  late(nowMs: number): void {
    if (this.#inFlight >= LEAST_IN_FLIGHT) this.#limitedUntil = nowMs + HOLD_MS;
  }

  /** Answers per millisecond. */
  #rate(nowMs: number): number {
    this.#roll(nowMs);
    const current = this.#bucket % this.#answers.length;
    let best = 0;
    for (const [at, count] of this.#answers.entries()) {
      const filledMs =
        at === current ? Math.max(LEAST_FILLED_MS, nowMs - this.#bucket * BUCKET_MS) : BUCKET_MS;
      best = Math.max(best, count / filledMs);
    }
    return best;
  }

  #roll(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    for (let empty = Math.max(this.#bucket + 1, bucket - BUCKETS); empty <= bucket; empty++)
      this.#answers[empty % this.#answers.length] = 0;
    this.#bucket = Math.max(this.#bucket, bucket);
  }
}
