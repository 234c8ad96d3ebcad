/** Fewer than these in flight are no queue, however slow they are. */
const LEAST_IN_FLIGHT = 16;
/** A prediction may be expected to take this share of its time; the rest is for what cannot be foreseen. */
const SHARE = 0.5;
/** One that took this share of its time is a sign: by when it is seen, those behind it will take longer. */
const SIGN_SHARE = 0.25;
/** How long a limit holds after the last sign that it is needed. */
const HOLD_MS = 1000;
/** The rate of answers is that of the last moments: so many whole buckets, and the one that is being filled. */
const BUCKET_MS = 100;
const BUCKETS = 5;
/** What a caller is told who came while nothing at all was answered. */
const LONGEST_WAIT_MS = 5000;
const STEP_MS = 50;

/**
 * Decides whether one model's predictions are admitted. Without signs of overload all are. Once some were late (answered after more
 * than a quarter of their time, expired, or refused further inside), a new one is admitted only if it can be expected to be answered
 * in half of its time. By Little's law it waits for (those in flight / answers per millisecond in the last half second).
 * So the limit follows what is really answered, on whatever machine, and a caller with more time is admitted for longer.
 * Without signs of overload for a second all are admitted again. Pure: time, in milliseconds on the monotonic clock, comes with
 * each call.
 */
export class ModelGate {
  readonly #bornAt: number;
  /** A ring; the last one is being filled. */
  readonly #answers: number[] = new Array<number>(BUCKETS + 1).fill(0);
  #bucket: number;
  #limitedUntil = Number.NEGATIVE_INFINITY;
  #inFlight = 0;

  constructor(nowMs: number) {
    this.#bornAt = nowMs;
    this.#bucket = Math.floor(nowMs / BUCKET_MS);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** True when nothing would be lost with it. */
  isIdle(nowMs: number): boolean {
    return this.#inFlight === 0 && nowMs >= this.#limitedUntil;
  }

  /** Milliseconds after which trying again makes sense, for one that must be refused; undefined admits it. */
  retryAfter(timeoutMs: number, nowMs: number): number | undefined {
    if (nowMs >= this.#limitedUntil || this.#inFlight < LEAST_IN_FLIGHT) return undefined;
    const waitMs = this.#inFlight / this.#rate(nowMs);
    const mayWaitMs = SHARE * timeoutMs;
    if (waitMs <= mayWaitMs) return undefined;
    this.#limitedUntil = nowMs + HOLD_MS;
    // In steps, so that refusals that follow one another say the same.
    return STEP_MS * Math.ceil(Math.min(waitMs - mayWaitMs, LONGEST_WAIT_MS) / STEP_MS);
  }

  enter(): void {
    this.#inFlight++;
  }

  leave(): void {
    this.#inFlight--;
  }

  /** To be called before `leave`, for one that was admitted at `sinceMs` with so much time. */
  answered(sinceMs: number, timeoutMs: number, nowMs: number): void {
    this.#roll(nowMs);
    this.#answers[this.#bucket % this.#answers.length]!++;
    if (nowMs - sinceMs > SIGN_SHARE * timeoutMs) this.late(nowMs);
  }

  /** To be called before `leave`, for one that expired, or that was refused because of others. */
  late(nowMs: number): void {
    if (this.#inFlight >= LEAST_IN_FLIGHT) this.#limitedUntil = nowMs + HOLD_MS;
  }

  /** Answers a millisecond. */
  #rate(nowMs: number): number {
    this.#roll(nowMs);
    let answers = 0;
    for (const count of this.#answers) answers += count;
    const covered = BUCKETS * BUCKET_MS + (nowMs - this.#bucket * BUCKET_MS);
    return answers / Math.max(1, Math.min(covered, nowMs - this.#bornAt));
  }

  #roll(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    for (let empty = Math.max(this.#bucket + 1, bucket - BUCKETS); empty <= bucket; empty++)
      this.#answers[empty % this.#answers.length] = 0;
    this.#bucket = Math.max(this.#bucket, bucket);
  }
}
