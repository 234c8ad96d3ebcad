import type { EventMessage, EventProducer } from '@hotloop/platform/kafka/producer.ts';
import type { FollowUp, PastEvent } from './story.ts';

/** The topic that the preprocessor reads into the history. */
const HISTORY_TOPIC = 'hotloop.events';
const SOURCE = 'hotloop-demo';
const FLUSH_MS = 50;
const BATCH = 500;

interface Due {
  readonly atMs: number;
  readonly topic: string;
  readonly message: EventMessage;
  readonly isOutcome: boolean;
}

/** Publishes the events that follow visits, each at its time. Owns its timer, not the producer. */
export class EventPublisher implements AsyncDisposable {
  readonly #producer: EventProducer;
  readonly #timer: NodeJS.Timeout;
  #waiting: Due[] = [];
  #sending: Promise<void> | undefined;
  #outcomes = 0;
  #failure: unknown;

  constructor(producer: EventProducer) {
    this.#producer = producer;
    this.#timer = setInterval(() => this.#flushSoon(), FLUSH_MS);
  }

  /** Outcomes that Kafka has confirmed. */
  get outcomes(): number {
    return this.#outcomes;
  }

  /** The first failure to publish, or undefined. */
  get failure(): unknown {
    return this.#failure;
  }

  follow(followUps: readonly FollowUp[]): void {
    const nowMs = Date.now();
    for (const one of followUps) {
      const atMs = nowMs + one.delayMs;
      const event = cloudEvent(one.id, one.type, atMs, one.data);
      this.#waiting.push({
        atMs,
        topic: one.outcomeTopic ?? HISTORY_TOPIC,
        message: { key: one.key, value: event },
        isOutcome: one.outcomeTopic !== undefined,
      });
    }
  }

  /** Publishes the events before the demonstration and waits until Kafka has them. */
  async publishPast(events: readonly PastEvent[], signal: AbortSignal): Promise<void> {
    const nowMs = Date.now();
    for (let start = 0; start < events.length; start += BATCH) {
      signal.throwIfAborted();
      const messages = events.slice(start, start + BATCH).map((event) => ({
        key: Object.values(event.entity).join(':'),
        value: cloudEvent(event.id, event.type, nowMs - event.agoMs, {
          entity: event.entity,
          ...event.fields,
        }),
      }));
      await this.#producer.send(HISTORY_TOPIC, messages);
    }
  }

  /** Resolves when nothing is waiting any more. */
  async drained(signal: AbortSignal): Promise<void> {
    while (this.#waiting.length > 0 || this.#sending) {
      signal.throwIfAborted();
      await (this.#sending ?? new Promise((resolve) => setTimeout(resolve, FLUSH_MS)));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#sending;
  }

  #flushSoon(): void {
    this.#sending ??= this.#flush()
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#sending = undefined;
      });
  }

  async #flush(): Promise<void> {
    const nowMs = Date.now();
    const due = this.#waiting.filter((one) => one.atMs <= nowMs);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((one) => one.atMs > nowMs);
    const byTopic = Map.groupBy(due, (one) => one.topic);
    for (const [topic, all] of byTopic) {
      await this.#producer.send(
        topic,
        all.map((one) => one.message),
      );
      this.#outcomes += all.filter((one) => one.isOutcome).length;
    }
  }
}

function cloudEvent(id: string, type: string, atMs: number, data: object): string {
  const time = new Date(atMs).toISOString();
  return JSON.stringify({ specversion: '1.0', id, source: SOURCE, type, time, data });
}
