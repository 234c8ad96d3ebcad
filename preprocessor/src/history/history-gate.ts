import type { EventList } from '@hotloop/model/features/event-list.ts';
import type { HistoryAnswers } from '@hotloop/model/features/feature-plan.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';
import type { Log } from '@hotloop/platform/log.ts';
import { type CircuitEvent, type CircuitPolicy, CLOSED_CIRCUIT, mayAsk, nextCircuit } from '../circuit.ts';
import type { History, HistoryRead } from './history.ts';

export interface HistoryGateOptions extends CircuitPolicy {
  /** Longest time that one prediction waits for its history. */
  readonly budgetMs: number;
}

export const HISTORY_GATE_DEFAULTS: HistoryGateOptions = { budgetMs: 20, failures: 5, restMs: 1000 };

/**
 * Reads the history for predictions, within a budget. Never rejects: when the store is late, failing or temporarily
 * disabled, it returns null, and the prediction continues without history. A dead store costs `failures` waits, then
 * nothing: probes run alongside a prediction, which does not wait for them.
 */
export class HistoryGate {
  readonly #history: History;
  readonly #options: HistoryGateOptions;
  readonly #clock: Clock;
  readonly #log: Log;
  #state = CLOSED_CIRCUIT;

  constructor(history: History, clock: Clock, log: Log, options = HISTORY_GATE_DEFAULTS) {
    this.#history = history;
    this.#clock = clock;
    this.#log = log;
    this.#options = options;
  }

  /** True while the store is not used because it failed repeatedly. */
  get open(): boolean {
    return this.#state.kind !== 'closed';
  }

  /** `timeoutMs`: the time left for the prediction, if that is less than the budget. */
  async read(
    reads: readonly HistoryRead[],
    timeoutMs = Number.POSITIVE_INFINITY,
    signal?: Cancellation,
  ): Promise<HistoryAnswers> {
    if (reads.length === 0) return [];
    if (!mayAsk(this.#state, this.#clock.monotonic())) return null;
    const { budgetMs } = this.#options;
    this.#move('asked');
    if (this.#state.kind === 'probing') {
      // No prediction waits for a probe, otherwise each probe would delay one prediction.
      void withinBudget(this.#history.read(reads), budgetMs).then((probed) => this.#judge(probed));
      return null;
    }
    const answer = await withinBudget(this.#history.read(reads, signal), Math.min(budgetMs, timeoutMs));
    // If the caller's timeout was shorter than the budget, lateness says nothing about the store.
    const hurried = answer.kind === 'late' && timeoutMs < budgetMs;
    if (!hurried) this.#judge(answer);
    return answer.kind === 'answered' ? answer.events : null;
  }

  #judge(answer: Answer): void {
    this.#move(answer.kind === 'answered' ? 'succeeded' : 'failed', answer);
  }

  #move(event: CircuitEvent, answer?: Answer): void {
    const before = this.#state;
    this.#state = nextCircuit(before, event, this.#options, this.#clock.monotonic());
    if (before.kind === 'closed' && this.#state.kind === 'open')
      this.#log.warn(
        answer?.kind === 'failed' ? { error: answer.error } : {},
        'the history does not answer; predictions continue without it',
      );
    if (before.kind === 'probing' && this.#state.kind === 'closed')
      this.#log.info('the history answers again');
  }
}

type Answer =
  | { readonly kind: 'answered'; readonly events: EventList[] }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'late' };

function withinBudget(reading: Promise<EventList[]>, budgetMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    // A busy event loop runs timers before it reads sockets. An answer that is already in the socket is not late, so
    // sockets are read once more.
    const timer = setTimeout(() => setImmediate(() => resolve({ kind: 'late' })), Math.max(0, budgetMs));
    reading.then(
      (events) => {
        clearTimeout(timer);
        resolve({ kind: 'answered', events });
      },
      (error: unknown) => {
        clearTimeout(timer);
        resolve({ kind: 'failed', error });
      },
    );
  });
}
