import type { HotloopClient, PredictInput, Prediction } from '@hotloop/client';
import type { AnswerLog } from './answer-log.ts';
import type { StoryInput, Visit } from './story.ts';

const TICK_MS = 4;
/** Timeout of a live prediction. */
const TIMEOUT_MS = 5000;

export interface TrafficOptions {
  readonly client: HotloopClient;
  readonly model: string;
  readonly perSecond: number;
  /** The next visit; undefined when there is none at the moment. */
  readonly next: () => Visit | undefined;
  /** Called after each answer. */
  readonly onAnswer: (visit: Visit, prediction: Prediction) => void;
  readonly onFailure: (error: unknown) => void;
  readonly log: AnswerLog;
}

/**
 * Visits at a fixed rate, whether or not earlier ones have been answered ("open loop"), so a slow server gets no
 * relief. The latency of a visit counts from when it was due. Disposing stops new ones and waits for those in flight.
 */
export class Traffic implements AsyncDisposable {
  readonly #options: TrafficOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #inFlight = new Set<Promise<void>>();
  #nextDueAt = performance.now();

  constructor(options: TrafficOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
  }

  #tick(): void {
    const now = performance.now();
    const gap = 1000 / this.#options.perSecond;
    while (this.#nextDueAt <= now) {
      const visit = this.#options.next();
      if (visit) this.#send(visit, this.#nextDueAt);
      this.#nextDueAt += gap;
    }
  }

  #send(visit: Visit, dueAt: number): void {
    const { client, model, log, onAnswer, onFailure } = this.#options;
    const ticket = log.open(dueAt);
    const sent = client
      .predict(model, predictInput(visit.input), { timeoutMs: TIMEOUT_MS })
      .then(
        (prediction) => {
          const latencyMs = performance.now() - dueAt;
          log.addAnswer(
            ticket,
            { dueAt, latencyMs, version: prediction.version },
            rowScores(prediction),
            visit.truth,
          );
          onAnswer(visit, prediction);
        },
        (error: unknown) => {
          log.addFailure(ticket);
          onFailure(error);
        },
      )
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  }
}

/** The same request in the form for the client. */
export function predictInput(input: StoryInput, version?: number): PredictInput {
  return {
    entities: input.entities,
    request: input.request,
    candidates: input.candidates.map(({ id, attributes }) => ({ ...attributes, id })),
    ...(version === undefined ? {} : { version }),
  };
}

/** One score per row: per candidate in the order of the request, or the single score. */
export function rowScores(prediction: Prediction): readonly number[] {
  return prediction.scores.length > 0 ? prediction.scores : [prediction.score];
}
