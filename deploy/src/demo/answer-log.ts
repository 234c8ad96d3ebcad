import { rocAuc } from '@hotloop/retrainer/training/metrics.ts';

/** One answered or failed prediction of the traffic. Times are milliseconds on the monotonic clock. */
interface Answer {
  /** When it was due, whether or not the sender was late: waiting counts. */
  readonly dueAt: number;
  /** From due to answered; NaN for a failed one. */
  readonly latencyMs: number;
  /** 0 for a failed one. */
  readonly version: number;
}

const KEPT = 400_000;
const RECENT_ROWS = 4000;
/** Upper limit for the duration of a prediction: the traffic's deadline, plus possible delay of its timer. */
const LONGEST_ANSWER_MS = 10_000;

/** Results of the traffic: the numbers behind the status line and the report. */
export class AnswerLog {
  #answers: Answer[] = [];
  /** Due times of unanswered predictions. */
  readonly #open = new Map<number, number>();
  #opened = 0;
  #answered = 0;
  #failed = 0;
  #scores: number[] = [];
  #labels: number[] = [];
  #versionOfScores = 0;

  get answered(): number {
    return this.#answered;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Registers a prediction; pass the returned ticket with its answer or failure. */
  open(dueAt: number): number {
    const ticket = this.#opened++;
    this.#open.set(ticket, dueAt);
    return ticket;
  }

  /** Whether everything that was due before then has been answered or has failed. */
  isSettledBefore(time: number): boolean {
    return [...this.#open.values()].every((dueAt) => dueAt >= time);
  }

  addAnswer(ticket: number, answer: Answer, scores: readonly number[], truth: readonly number[]): void {
    this.#open.delete(ticket);
    this.#push(answer);
    this.#answered += 1;
    // The rolling AUC is of one version: it restarts at every swap.
    if (answer.version > this.#versionOfScores) {
      this.#versionOfScores = answer.version;
      this.#scores = [];
      this.#labels = [];
    }
    if (answer.version !== this.#versionOfScores || scores.length !== truth.length) return;
    this.#scores.push(...scores);
    this.#labels.push(...truth);
    if (this.#scores.length > 2 * RECENT_ROWS) {
      this.#scores = this.#scores.slice(-RECENT_ROWS);
      this.#labels = this.#labels.slice(-RECENT_ROWS);
    }
  }

  addFailure(ticket: number): void {
    const dueAt = this.#open.get(ticket) ?? 0;
    this.#open.delete(ticket);
    this.#push({ dueAt, latencyMs: Number.NaN, version: 0 });
    this.#failed += 1;
  }

  /** AUC over the newest rows of the newest version; NaN before there are enough. */
  recentAuc(): number {
    if (this.#scores.length < 500) return Number.NaN;
    return rocAuc(this.#scores.slice(-RECENT_ROWS), this.#labels.slice(-RECENT_ROWS));
  }

  /** Results of the predictions that were due in [from, to). */
  between(from: number, to: number): AnswerSummary {
    const chosen: Answer[] = [];
    // Answers are in order of arrival: none was due much earlier than those before it.
    for (let index = this.#answers.length - 1; index >= 0; index -= 1) {
      const answer = this.#answers[index]!;
      if (answer.dueAt < from - LONGEST_ANSWER_MS) break;
      if (answer.dueAt >= from && answer.dueAt < to) chosen.push(answer);
    }
    const latencies = chosen
      .map(({ latencyMs }) => latencyMs)
      .filter((latency) => !Number.isNaN(latency))
      .sort((a, b) => a - b);
    return {
      answered: latencies.length,
      failed: chosen.length - latencies.length,
      perSecond: to > from ? (latencies.length / (to - from)) * 1000 : 0,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
    };
  }

  /** When the first prediction that this version answered was due; undefined before there is one. */
  firstDueOf(version: number): number | undefined {
    return this.#answers.find((answer) => answer.version === version)?.dueAt;
  }

  #push(answer: Answer): void {
    this.#answers.push(answer);
    if (this.#answers.length > KEPT) this.#answers = this.#answers.slice(-KEPT / 2);
  }
}

export interface AnswerSummary {
  readonly answered: number;
  readonly failed: number;
  readonly perSecond: number;
  /** NaN when nothing was answered. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Nearest-rank percentile of ascending values; NaN for none. */
export function percentile(ascending: readonly number[], share: number): number {
  if (ascending.length === 0) return Number.NaN;
  return ascending[Math.min(ascending.length - 1, Math.max(0, Math.ceil(share * ascending.length) - 1))]!;
}
